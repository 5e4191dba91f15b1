"""The members of an etcd cluster: whom to ask, and whom to ask next.

::

    ask    the current member; where it fails, the next one -- if that is safe
             reads, and what may happen twice:  every member once
             writes:                            the next one only while nothing was sent
    lines  a stream of the current member; it ends when that member is given up

A member that was too slow once is given up: the next one is current from then on, for streams
too. A member is looked at when a connection to it opens: its version (`versions`), and that it
belongs to the cluster this process began with. A cluster that was restored from a backup has
another id: its revisions begin again, so nothing that compares them may be believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import NoReturn, TypeVar

import msgspec

from fastness.errors import FastnessError, ProtocolMismatch, Unauthenticated, Unreachable
from fastness.hosting.etcd.http import Answer, Connection, Lost, NotSent
from fastness.hosting.etcd.messages import (
    INVALID_ARGUMENT,
    UNAUTHENTICATED,
    ErrorAnswer,
    Header,
    Json,
    StatusAnswer,
    TokenAnswer,
    VersionAnswer,
)
from fastness.hosting.etcd.urls import EtcdUrl
from fastness.hosting.etcd.versions import require_usable
from fastness.transport import TcpPlace

T = TypeVar("T")

CONNECTIONS_MAX = 8
"""Requests under way at a time; more wait for their turn."""

SUCCESS = 200
MILLISECONDS = 1_000

_encode = msgspec.json.Encoder().encode


class Refused(Exception):
    """A member understood, and did nothing: the code of gRPC, and etcd's reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Failed(Exception):
    """A member answered that it could not; perhaps it could after all."""


def decoder(kind: type[T]) -> Callable[[bytes], T]:
    """Reads answers of a kind."""
    return msgspec.json.Decoder(kind, strict=False).decode


_decode_error = decoder(ErrorAnswer)
_decode_status = decoder(StatusAnswer)
_decode_token = decoder(TokenAnswer)
_decode_version = decoder(VersionAnswer)

_REFUSALS = frozenset({INVALID_ARGUMENT, 5, 7, 8, 12, UNAUTHENTICATED})
"""Codes of gRPC that etcd answers with before it does anything: invalid argument, not found,
permission denied, resource exhausted, unimplemented, unauthenticated."""

_NO_SUCH_USER = ("invalid user ID or password", "authentication is not enabled")
_STALE_TOKEN = ("invalid auth token", "revision of auth store is old", "user name is empty")


def refusal_in(answer: Answer, place: TcpPlace) -> Refused | Failed:
    """What an answer that is no success means."""
    try:
        found = _decode_error(answer.body)
    except msgspec.DecodeError:
        return Failed(
            f"{place} answered HTTP {answer.status} and no JSON: name etcd's client URL, say "
            "tls=on where it speaks TLS, and leave its gateway on (--enable-grpc-gateway)"
        )
    reason = found.message or str(found.error or f"HTTP {answer.status}")
    if found.code in _REFUSALS:
        return Refused(found.code, f"{place}: {reason}")
    return Failed(f"{place}: {reason}")


class _Member:
    """One member, and the connections to it."""

    __slots__ = ("asking", "idle", "place", "streaming")

    def __init__(self, place: TcpPlace) -> None:
        self.place = place
        self.idle: list[Connection] = []
        self.asking: dict[Connection, None] = {}
        self.streaming: dict[Connection, None] = {}

    def give_up(self) -> None:
        """Expect nothing more of it; requests under way have their own time."""
        for connection in (*self.idle, *self.streaming):
            connection.abort()
        self.idle.clear()

    def close(self) -> None:
        """End everything."""
        self.give_up()
        for connection in self.asking:
            connection.abort()


class Members:
    """See the module's page. One per coordinator, on one event loop."""

    def __init__(
        self, url: EtcdUrl, *, first: int, patience_ms: float, handshake_ms: float
    ) -> None:
        """`first` picks the member to begin with; each has `patience_ms` to answer.

        And `handshake_ms` while the coordinator opens, or to check a password, which is made slow.
        """
        self._url = url
        self._tls = url.tls_context()
        self._members = [_Member(place) for place in url.places]
        self._current = first % len(self._members)
        self._handshake_s = handshake_ms / MILLISECONDS
        self._usual_s = patience_ms / MILLISECONDS
        self._patience_s = self._handshake_s
        self._turns = asyncio.Semaphore(CONNECTIONS_MAX)
        self._cluster_id = ""
        self._token = ""
        self._authenticating = asyncio.Lock()
        self._closed = False

    # ------------------------------------------------------------------ asking

    def opened(self) -> None:
        """All is well: from now on an answer that takes long is of no use."""
        self._patience_s = self._usual_s

    async def look(self) -> None:
        """See that at least one member can be used, and that none of those there must not be."""
        found = await asyncio.gather(*(self._seen(member) for member in self._members))
        for error in found:
            if isinstance(error, FastnessError):
                raise error
        if None not in found:
            self._nobody([str(error) for error in found])
        while found[self._current] is not None:
            self._current = (self._current + 1) % len(self._members)

    async def _seen(self, member: _Member) -> Exception | None:
        try:
            async with asyncio.timeout(self._patience_s), self._connection(member):
                return None
        except TimeoutError:
            return NotSent(f"{member.place}: no answer within {self._patience_s:.1f} s")
        except (NotSent, Lost, Failed, ProtocolMismatch) as error:
            return error

    async def ask(
        self, path: str, request: Json, decode: Callable[[bytes], T], *, repeatable: bool
    ) -> T:
        """What a member answers.

        `Unreachable` where none did: a request that is not `repeatable` may then have been
        carried out. `Refused` where etcd did nothing, and why.
        """
        reasons: list[str] = []
        for member in self._in_turn():
            sent: list[bool] = []
            try:
                # Waiting for a turn says nothing about the member.
                async with self._turns:
                    return decode(await self._answered(member, path, request, sent))
            except TimeoutError:
                reasons.append(f"{member.place}: no answer within {self._patience_s:.1f} s")
            except (NotSent, Lost, Failed, ProtocolMismatch, msgspec.DecodeError) as error:
                reasons.append(str(error))
            except asyncio.CancelledError:
                self._give_up(member)
                raise
            self._give_up(member)
            if sent and not repeatable:
                raise Unreachable(
                    f"etcd did not say what became of a write ({reasons[-1]}): it may have been "
                    "carried out, read again"
                )
        return self._nobody(reasons)

    def _nobody(self, reasons: list[str]) -> NoReturn:
        if self._closed:
            raise Unreachable(f"the coordinator {self._url.shown} was closed here")
        raise Unreachable(
            f"no member of {self._url.shown} answers ({'; '.join(reasons)}): see that most of its "
            "members run and reach one another"
        )

    def _in_turn(self) -> Iterator[_Member]:
        """Every member once, beginning with the current one."""
        if self._closed:
            return
        begin = self._current
        for step in range(len(self._members)):
            yield self._members[(begin + step) % len(self._members)]

    def _give_up(self, member: _Member) -> None:
        """Ask others from now on, and end the streams that wait for this one to say something."""
        if self._members[self._current] is member:
            self._current = (self._current + 1) % len(self._members)
        member.give_up()

    async def _answered(self, member: _Member, path: str, request: Json, sent: list[bool]) -> bytes:
        """The body of an answer; a token that has run out is renewed once."""
        if self._url.user and not self._token:
            await self._authenticate(member, "")
        token = self._token
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._post(member, path, request, sent)
        except Refused as refused:
            if not self._url.user or not any(one in str(refused) for one in _STALE_TOKEN):
                raise
        sent.clear()
        await self._authenticate(member, token)
        async with asyncio.timeout(self._patience_s):
            return await self._post(member, path, request, sent)

    async def _post(self, member: _Member, path: str, request: Json, sent: list[bool]) -> bytes:
        async with self._connection(member) as connection:
            sent.append(True)
            answer = await connection.ask("POST", path, self._headers(), _encode(request))
        if answer.status != SUCCESS:
            raise refusal_in(answer, member.place)
        return answer.body

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._token} if self._token else {}

    async def _authenticate(self, member: _Member, stale: str) -> None:
        """Get a token in place of the stale one, unless another request did meanwhile."""
        async with self._authenticating:
            if self._token != stale:
                return
            self._token = ""
            request = {"name": self._url.user, "password": self._url.password}
            try:
                async with asyncio.timeout(self._handshake_s):
                    body = await self._post(member, "/v3/auth/authenticate", request, [])
            except (Refused, Failed) as error:
                if not any(one in str(error) for one in _NO_SUCH_USER):
                    raise
                raise Unauthenticated(
                    f"etcd does not take user {self._url.user!r} with this password ({error}): "
                    "correct user=, password= or password_file= in the URL, or leave them out "
                    "where authentication is off"
                ) from error
            self._token = _decode_token(body).token

    # ------------------------------------------------------------- connections

    @asynccontextmanager
    async def _connection(self, member: _Member) -> AsyncIterator[Connection]:
        """A connection of one's own; it is kept for others unless something went wrong."""
        connection = await self._connected(member)
        member.asking[connection] = None
        try:
            yield connection
        finally:
            del member.asking[connection]
            if connection.is_idle and not self._closed:
                member.idle.append(connection)
            else:
                connection.abort()

    async def _connected(self, member: _Member) -> Connection:
        while member.idle:
            connection = member.idle.pop()
            if connection.is_idle:
                return connection
            connection.abort()
        if self._closed:
            raise NotSent("closed")
        connection = await Connection.open(member.place, self._tls)
        try:
            await self._look_at(member, connection)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _look_at(self, member: _Member, connection: Connection) -> None:
        """See that a member is one to be believed, before anything is asked of it."""
        try:
            answer = await connection.ask("POST", "/v3/maintenance/status", self._headers(), b"{}")
            if answer.status == SUCCESS:
                status = _decode_status(answer.body)
            elif isinstance(refusal := refusal_in(answer, member.place), Refused):
                # Perhaps this user may not ask for it; its version any member tells everybody.
                answer = await connection.ask("GET", "/version", {}, b"")
                status = StatusAnswer(version=_decode_version(answer.body).etcdserver)
            else:
                raise NotSent(str(refusal))
        except (Lost, msgspec.DecodeError) as error:
            raise NotSent(
                f"{member.place} does not answer as etcd does ({error}): name etcd's client URL, "
                "and say tls=on where it speaks TLS"
            ) from error
        require_usable(status.version, member.place, throwaway=self._url.throwaway)
        self.require_same(status.header, member.place)

    def require_same(self, header: Header, place: object = "a member") -> None:
        """`ProtocolMismatch` for an answer of another cluster than the first one."""
        found = header.cluster_id
        if found and not self._cluster_id:
            self._cluster_id = found
        if found and found != self._cluster_id:
            raise ProtocolMismatch(
                f"{place} belongs to etcd cluster {found}, not {self._cluster_id}: name members of "
                "one cluster only; after a restore from a backup start this process again"
            )

    # ----------------------------------------------------------------- streams

    async def lines(
        self, path: str, request: Json, decode: Callable[[bytes], T]
    ) -> AsyncGenerator[T, None]:
        """Each message of a stream; it ends, or raises `Unreachable`, when the member is lost."""
        member = self._members[self._current]
        try:
            async with asyncio.timeout(self._patience_s) as patience:
                connection = await self._connected(member)
                member.streaming[connection] = None
                try:
                    async for answer in connection.lines(path, self._headers(), _encode(request)):
                        if answer.status != SUCCESS:
                            raise refusal_in(answer, member.place)
                        # Only the first message has to come in time.
                        patience.reschedule(None)
                        yield decode(answer.body)
                finally:
                    del member.streaming[connection]
                    connection.abort()
        except TimeoutError:
            self._give_up(member)
            raise Unreachable(f"{member.place}: no answer in time") from None
        except (NotSent, Lost, Failed, ProtocolMismatch, msgspec.DecodeError) as error:
            self._give_up(member)
            raise Unreachable(str(error)) from error
        except Refused as error:
            raise Unreachable(str(error)) from error

    def close(self) -> None:
        """End every connection; what is under way fails."""
        self._closed = True
        for member in self._members:
            member.close()
