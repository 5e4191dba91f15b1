"""Who is let in: tokens against the token file, or everybody on this machine where there is none.

In a cluster the other nodes, and the tools of whoever runs it, show the cluster's secret.

The transport calls `authenticate` in its handshake, on the loop: everything is in memory, and
checking a token is one digest. A strange id costs as much as a wrong secret and is told the same.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable

from fastness.errors import PermissionDenied, Unauthenticated
from fastness.runtime.clock import Clock
from fastness.server.access import Access, AccessGrant, access_of, grant_of
from fastness.server.tokens import Allowance, Token, issue, parse_credential
from fastness.transport.grants import NODE_GRANT, Grant, Peer
from fastness.wire.handshake import Role

REMOVED = "removed"
"""Why an account has ended whose token is not in the file any more."""

EVERYBODY = "everybody"
"""The name of those who need no token."""


class Authenticator:
    """See the module's page. `tokens` is `None` where no token is needed."""

    def __init__(
        self,
        tokens: Iterable[Token] | None,
        clock: Clock,
        *,
        open_to_anyone: bool = False,
        grants: Callable[[], Iterable[Grant]] = tuple,
    ) -> None:
        """`grants` answers those of every open connection."""
        self._clock = clock
        self._grants = grants
        self._open_to_anyone = open_to_anyone
        self._cluster_secret = b""
        self._tokens: dict[str, Token] | None = None
        self._accesses: dict[str, Access] = {}
        self._has_news = False
        self._everybody = Access(EVERYBODY, Role.ADMIN, b"", Allowance())
        # Held against strange ids, so that those take as long as known ones.
        self._decoy = issue(name="decoy", role=Role.READ_ONLY, now_ms=0).token
        self.replace(tokens)
        # Nobody has come in yet whose end would be news.
        self._has_news = False

    def admit_nodes(self, secret: str) -> None:
        """Take whoever shows this secret for a node of the same cluster, from now on."""
        self._cluster_secret = secret.encode()

    @property
    def needs_tokens(self) -> bool:
        """Whether nobody comes in without one."""
        return self._tokens is not None

    @property
    def accesses(self) -> list[Access]:
        """The accounts of everybody who may come in or could before, in order of the file."""
        return [*self._accesses.values(), *([] if self.needs_tokens else [self._everybody])]

    def replace(self, tokens: Iterable[Token] | None) -> None:
        """Take up what the token file says now. Accounts go on, and those gone end."""
        now_ns = self._clock.boot_ns()
        if tokens is None:
            self._tokens = None
            self._everybody.ended = ""
            return
        self._end(self._everybody, "no longer let in without a token")
        self._tokens = {token.id: token for token in tokens}
        for identity, token in self._tokens.items():
            access = self._accesses.get(identity)
            if access is None or (access.role, access.prefix) != (token.role, token.key_space):
                if access is not None:
                    self._end(access, "of another role or key space by now")
                self._accesses[identity] = access_of(token)
            else:
                access.allow(token.allowance, now_ns)
        for identity, access in list(self._accesses.items()):
            if identity not in self._tokens:
                if access.ended == REMOVED:
                    # Its connections have ended since the last change.
                    del self._accesses[identity]
                self._end(access, REMOVED)
        self.look_at_the_clock()

    def look_at_the_clock(self) -> None:
        """End the accounts whose time is up. Called every second or so."""
        now_ms = self._clock.wall_ms()
        for identity, token in (self._tokens or {}).items():
            self._end(self._accesses[identity], token.ended(now_ms))

    def _end(self, access: Access, why: str) -> None:
        if why and not access.ended:
            self._has_news = True
        access.ended = why

    def take_news(self) -> bool:
        """Whether an account has ended since this was asked last: its connections should too."""
        news, self._has_news = self._has_news, False
        return news

    def authenticate(self, credential: str, peer: Peer) -> Grant:
        """What a peer with this credential is granted; see `transport.Authenticate`."""
        secret = self._cluster_secret
        if secret and hmac.compare_digest(credential.encode(errors="replace"), secret):
            return NODE_GRANT
        access = self.recognize(credential, peer)
        if access.allowance.connections:
            self.count_connections()
        crowded = access.crowded()
        if crowded is not None:
            raise crowded
        return grant_of(access)

    def count_connections(self) -> None:
        """Bring the number of connections of each account up to date."""
        for access in self.accesses:
            access.usage.connections = 0
        for grant in self._grants():
            if isinstance(grant, AccessGrant) and grant.access is not None:
                grant.access.usage.connections += 1

    def recognize(self, credential: str, peer: Peer) -> Access:
        """Whose credential it is; `Unauthenticated` or `PermissionDenied`."""
        if self._tokens is None:
            return self._without_token(peer)
        if not credential:
            raise Unauthenticated(
                "this server lets nobody in without a token: pass one (token=... in the URL, or "
                "FASTNESS_TOKEN)"
            )
        parsed = parse_credential(credential)
        if parsed is None:
            raise Unauthenticated(
                "the token is none: it looks like fastness_<12 characters>_<43 characters>, copy "
                "all of it"
            )
        token = self._tokens.get(parsed.id, self._decoy)
        if not token.proves(parsed.secret) or token is self._decoy:
            raise Unauthenticated(
                f"token fastness_{parsed.id}_.. is not known here: ask whoever runs the server "
                "for another"
            )
        access = self._accesses[token.id]
        self._end(access, token.ended(self._clock.wall_ms()))
        if access.ended:
            raise access.over()
        return access

    def _without_token(self, peer: Peer) -> Access:
        if peer.is_local or self._open_to_anyone:
            return self._everybody
        raise PermissionDenied(
            f"{peer} is another machine, and this server has no token file: only its own machine "
            "may connect until whoever runs it gives it one (--tokens)"
        )
