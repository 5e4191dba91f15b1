"""Who may do what at a real server: tokens that are wrong, expired or revoked, tenants, rates."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import fastness
from fastness import AsyncDatabase
from fastness.encoding.intervals import KeyInterval, prefix_end
from fastness.errors import (
    FastnessError,
    Overloaded,
    RateLimited,
    Unauthenticated,
    UsageError,
)
from fastness.placement.descriptors import RangeMap
from fastness.ranges.identity import transaction_id
from fastness.ranges.requests import CommitOne, Content, Done, Read, ReadAnswer, Scan, Write
from fastness.runtime import SystemClock
from fastness.server.token_file import revoke_token
from fastness.wire.handshake import Role
from fastness.wire.messages import Body, MapAnswer, MapRequest, Refusal, SplitRange
from tests.server.processes import (
    Asker,
    ServerProcess,
    asking,
    connected,
    issued,
    play,
    serving,
    until,
)

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

STRANGE = "nonsense"
TENANT = fastness.pack(("billing",))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A token file with an admin's token, which is thrown away."""
    issued(tmp_path / "tokens.json", "root", role=Role.ADMIN)
    return tmp_path / "tokens.json"


@pytest.fixture
def server(tmp_path: Path, path: Path) -> Iterator[ServerProcess]:
    """A server that wants tokens."""
    with serving(tmp_path / "data", "--tokens", path) as started:
        yield started


async def refused(server: ServerProcess, token: str) -> FastnessError:
    """What a token is refused with when a connection is opened."""
    with pytest.raises(FastnessError) as caught:
        async with connected(server, token=token):
            pass
    return caught.value


async def failed(client: AsyncDatabase) -> FastnessError:
    """What a client that goes on writing is stopped by."""
    while True:
        try:
            await client.set(b"a", b"1")
        except FastnessError as error:
            return error


async def limited(client: AsyncDatabase) -> RateLimited:
    """What a client that reads too fast is told."""
    while True:
        try:
            await client.get(b"a")
        except RateLimited as error:
            return error


async def known(server: ServerProcess, token: str) -> None:
    """Wait until a token is let in: the file is looked at every second."""

    async def is_known() -> bool:
        with suppress(Unauthenticated):
            async with connected(server, token=token):
                return True
        return False

    while not await is_known():
        await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.05)


def test_tokens_come_and_go(server: ServerProcess, path: Path) -> None:
    """Without a token or with a strange one nobody comes in; new ones do, until revoked."""

    async def scenario() -> None:
        assert isinstance(await refused(server, ""), Unauthenticated)
        strange = issued(path.with_name("other.json"), "x")
        assert "is not known here" in str(await refused(server, strange))
        token = issued(path, "billing")
        await known(server, token)
        async with connected(server, token=token) as client:
            await client.set(b"a", b"1")
            revoke_token(path, "billing", now_ms=SystemClock().wall_ms())
            await until(lambda: server.events("access ended"))
            assert "is revoked" in str(await failed(client))
        assert "is revoked" in str(await refused(server, token))

    play(scenario())
    assert server.events("access ended")[0]["connections"] == 1
    assert server.told["connect"].endswith('?token=...")')


def test_a_token_expires_while_it_is_used(server: ServerProcess, path: Path) -> None:
    """Its connections end with it."""
    token = issued(path, "brief")

    async def scenario() -> None:
        await known(server, token)
        async with connected(server, token=token) as client:
            await client.set(b"a", b"1")
            _let_expire(path, "brief")
            assert "is expired" in str(await failed(client))
        assert "is expired" in str(await refused(server, token))

    play(scenario())


def _let_expire(path: Path, name: str) -> None:
    """Have the token's time be over soon; its owner's editor would do the same."""
    document = json.loads(path.read_bytes())
    for one in document["tokens"]:
        if one["name"] == name:
            one["expires_ms"] = SystemClock().wall_ms() + 500
    path.write_text(json.dumps(document))


def test_a_tenant_and_its_key_space(server: ServerProcess, path: Path) -> None:
    """A tenant's client sees its own keys alone; whoever keeps to no rules is refused."""
    everything = issued(path, "everything")
    tenant = issued(path, "billing", key_space=TENANT)

    async def scenario() -> None:
        await known(server, tenant)
        async with (
            connected(server, token=everything) as all_keys,
            connected(server, token=tenant) as own,
        ):
            await all_keys.set(b"secret", b"of others")
            await own.set(b"invoice", b"42")
            assert await own.get(b"secret") is None
            assert await all_keys.get(TENANT + b"invoice") == b"42"
            assert [key async for key, _ in own.scan_all(b"", b"\xff")] == [b"invoice"]
        async with asking(server, token=tenant) as asker:
            for body in await _outside(asker):
                answer = await asker.ask(body)
                assert isinstance(answer, Refusal), body
                assert answer.code == "permission_denied"
            inside = Read(1, 1, [TENANT + b"invoice"])
            assert isinstance(await asker.ask(inside), ReadAnswer)

    play(scenario())


def test_a_tenant_sees_the_ranges_of_its_own_keys(server: ServerProcess, path: Path) -> None:
    """Borders among others' keys are shown to nobody bound to a key space; all goes on as ever."""
    tenant = issued(path, "billing", key_space=TENANT)
    everything = issued(path, "everything", role=Role.ADMIN)
    own = KeyInterval(TENANT, prefix_end(TENANT))
    borders = [b"\x01others", TENANT + b"m", b"\x03others"]

    async def scenario() -> None:
        await known(server, tenant)
        async with asking(server, token=everything) as asker:
            for border in borders:
                place = RangeMap((await _map(asker)).descriptors).holder_of(border)
                assert place is not None
                split = SplitRange(place.range_id, place.generation, border)
                assert isinstance(await asker.ask(split), Done)
            assert len((await _map(asker)).descriptors) == len(borders) + 1
        async with asking(server, token=tenant) as asker:
            shown = (await _map(asker)).descriptors
            assert [one.interval for one in shown] == [
                KeyInterval(own.begin, TENANT + b"m"),
                KeyInterval(TENANT + b"m", own.end),
            ]
            stale = Read(shown[0].range_id, 77, [TENANT + b"a"])
            answer = await asker.ask(stale)
            assert isinstance(answer, Refusal)
            assert [one.interval for one in answer.descriptors] == [shown[0].interval]
        async with connected(server, token=tenant) as client:
            async with client.transaction() as tx:
                tx.set(b"a", b"1")
                tx.set(b"z", b"2")
            assert [key async for key, _ in client.scan_all(b"", b"\xff")] == [b"a", b"z"]
            assert [key async for key, _ in client.scan_all(b"", b"\xff", reverse=True)] == [
                b"z",
                b"a",
            ]

    play(scenario())


async def _map(asker: Asker) -> MapAnswer:
    answer = await asker.ask(MapRequest())
    assert isinstance(answer, MapAnswer)
    return answer


async def _outside(asker: Asker) -> list[Body]:
    """Requests beyond the key space of the tenant."""
    (place,) = (await _map(asker)).descriptors
    where = (place.range_id, place.generation)
    identity = transaction_id(birth=1, nonce=1, anchor=TENANT + b"a")
    return [
        Read(*where, [b"secret"]),
        Read(*where, [], Scan(b"", b"\xff", 10)),
        CommitOne(*where, identity, 0, Content(writes=[Write(b"secret", b"mine")])),
        CommitOne(*where, identity, 0, Content(erased=[(b"", b"\xff")])),
        SplitRange(*where, TENANT),
    ]


def test_who_only_reads(server: ServerProcess, path: Path) -> None:
    """A read-only token reads; its writes are refused, by the client and by the server."""
    writer = issued(path, "writer")
    reader = issued(path, "reader", role=Role.READ_ONLY)

    async def scenario() -> None:
        await known(server, reader)
        async with connected(server, token=writer) as client:
            await client.set(b"a", b"1")
        async with connected(server, token=reader) as client:
            assert await client.get(b"a") == b"1"
            with pytest.raises(UsageError, match="a token that may write"):
                await client.set(b"a", b"2")
            assert await client.get(b"a") == b"1"
        async with asking(server, token=reader) as asker:
            identity = transaction_id(birth=1, nonce=1, anchor=b"a")
            content = Content(writes=[Write(b"a", b"2")], write_keys=[b"a"])
            answer = await asker.ask(CommitOne(1, 1, identity, 0, content))
            assert isinstance(answer, Refusal)
            assert answer.code == "permission_denied"
            assert "read-only" in answer.message

    play(scenario())


def test_rates(server: ServerProcess, path: Path) -> None:
    """Who comes too fast is told when to come back; others are served meanwhile."""
    slow = issued(path, "slow", operations_per_second=20)
    fast = issued(path, "fast")

    async def scenario() -> None:
        await known(server, fast)
        async with (
            connected(server, token=slow) as hurried,
            connected(server, token=fast) as other,
        ):
            await other.set(b"a", b"1")
            assert 0 < (await limited(hurried)).retry_after_ms <= 1_000
            for _ in range(200):
                assert await other.get(b"a") == b"1"
            # A transaction function waits, and comes back by itself.
            await hurried.run(_touch)

    play(scenario())
    assert server.metric('fastness_token_limited_total{token="slow"}') >= 1
    assert server.metric('fastness_token_limited_total{token="fast"}') == 0


async def _touch(tx: fastness.AsyncTransaction) -> None:
    for number in range(5):
        await tx.get(b"%d" % number)
    tx.set(b"touched", b"1")


def test_connections(server: ServerProcess, path: Path) -> None:
    """Beyond its number a token gets no more, until one is closed."""
    token = issued(path, "few", connections=2)

    async def scenario() -> None:
        await known(server, token)
        async with connected(server, token=token) as one, connected(server, token=token):
            assert isinstance(await refused(server, token), Overloaded)
            await one.set(b"a", b"1")
        async with asyncio.timeout(30):
            while True:
                with suppress(Overloaded):
                    async with connected(server, token=token) as again:
                        assert await again.get(b"a") == b"1"
                        return

    play(scenario())


def test_a_token_file_that_breaks_while_it_is_in_use(server: ServerProcess, path: Path) -> None:
    """The tokens of before stay in force, and the log says what is wrong."""
    token = issued(path, "kept")
    good = path.read_bytes()

    async def scenario() -> None:
        await known(server, token)
        _overwrite(path, b"{")
        await until(lambda: server.events("tokens not reloaded"))
        async with connected(server, token=token) as client:
            await client.set(b"a", b"1")
        _overwrite(path, good)
        reloads = len(server.events("tokens reloaded"))
        server.send(signal.SIGHUP)
        await until(lambda: server.events("reloaded"))
        assert len(server.events("tokens reloaded")) >= reloads
        async with connected(server, token=token) as client:
            assert await client.get(b"a") == b"1"

    play(scenario())


def _overwrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def test_the_status_names_tokens(server: ServerProcess, path: Path) -> None:
    """A token that is shown must be an admin's, from this machine too."""
    admin = issued(path, "operator", role=Role.ADMIN)
    reader = issued(path, "reader", role=Role.READ_ONLY)
    play(known(server, reader))
    assert server.get("/status", token=STRANGE).status == 401
    assert server.get("/status", token=reader).status == 403
    answered = server.get("/status", token=admin)
    assert answered.status == 200
    assert [one["name"] for one in answered.document["tokens"]] == ["root", "operator", "reader"]
    assert server.get("/metrics", token=STRANGE).status == 200


def test_figures_are_told_as_far_as_a_token_reaches(server: ServerProcess, path: Path) -> None:
    """Everybody its own use; the whole store's only to those who reach all keys."""
    tenant = issued(path, "billing", key_space=TENANT)
    reader = issued(path, "reader", role=Role.READ_ONLY)

    async def scenario() -> None:
        await known(server, reader)
        async with connected(server, token=tenant) as client:
            for number in range(5):
                await client.set(b"%d" % number, b"v")
            stat = await client.stat()
            assert stat.server is not None
            use = stat.server.use
            assert use is not None
            assert (use.token, use.connections) == ("billing", 1)
            assert use.operations >= 5
            assert use.bytes_in > 0
            assert use.bytes_out > 0
            with pytest.raises(UsageError, match="reaches all keys"):
                str(stat.store)
        async with connected(server, token=reader) as client:
            stat = await client.stat()
            assert stat.store.batches >= 5
            assert stat.server is not None
            assert stat.server.use is not None
            assert stat.server.use.token == "reader"  # noqa: S105 - its name

    play(scenario())
