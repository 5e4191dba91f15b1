"""Keeps a session at the coordinator, and proves every lease under it again and again.

::

    open a session, bind sessions/<id>, nodes/<address> and names/<name>
    every third of the time to live:
        keep the session alive
        read everything
        what is ours runs on, from before this reading was asked for; the rest is dropped
    the session has ended:  drop everything, open another

Losing touch with the coordinator drops nothing by itself: leases then simply run out, which
stops reads, and the store's fence stops writes once somebody else has taken over.
"""

from __future__ import annotations

from msgspec import structs

from fastness.errors import FastnessError, InvalidOption, Unreachable
from fastness.node.coordination import RETRY_MS, Change
from fastness.node.leases import Holding, Tenure
from fastness.node.refusals import moved
from fastness.node.site import Site
from fastness.node.waiting import pause
from fastness.placement.cluster_view import node_key, session_key
from fastness.placement.coordinator import Put
from fastness.placement.membership import NodeRecord, encode_record, name_key


class SessionKeeper:
    """See the module's page."""

    __slots__ = ("_site", "finished", "refusal")

    def __init__(self, site: Site) -> None:
        self._site = site
        self.finished = False
        """No other session is opened."""
        self.refusal: FastnessError | None = None
        """Why there is no session: another node that lives goes by the name of this one."""

    async def run(self, record: NodeRecord) -> None:
        """Keep a session, and another after that, until `finish`.

        `record` is what others are to know of this node, whatever its session.
        """
        while True:
            tenure = await self._open(record)
            if tenure is None:
                return
            self._site.tenure = tenure
            self._site.counts.sessions += 1
            self._site.process.note(f"session {tenure.session} opened")
            self._site.changed.give()
            await self._keep(tenure)
            self.end(tenure)

    async def _open(self, record: NodeRecord) -> Tenure | None:
        """A session, however long it takes; `None` once no other is wanted."""
        site = self._site
        while not self.finished:
            try:
                session = await site.coordination.open_session(site.limits.lease_ms)
                tenure = await self._join(structs.replace(record, session=session))
                if tenure is not None:
                    return tenure
            except FastnessError as error:
                site.process.note(f"no session: {error}")
            await pause(site.process, RETRY_MS)
        return None

    async def _join(self, record: NodeRecord) -> Tenure | None:
        """Bind this node's keys to its session; `None` where that ended, or the name is taken."""
        site, session, name = self._site, record.session, record.name
        key = session_key(session)
        compare = {key: 0}
        puts = [
            Put(key, site.address.encode(), session),
            Put(node_key(site.address), encode_record(record), session),
        ]
        if name:
            compare[name_key(name)] = 0
            puts.append(Put(name_key(name), site.address.encode(), session))
        revision = await site.coordination.write_surely(Change(compare, puts, key))
        if revision is not None:
            self.refusal = None
            # A reading from before it knows nothing of this session: it is not taken in any more.
            site.view.changed(revision, ())
            return Tenure(session, revision)
        if name:
            await self._look_who(name)
            await site.coordination.end_session(session)
        return None

    async def _look_who(self, name: str) -> None:
        other = await self._site.coordination.read_surely(name_key(name))
        if other is not None:
            self.refusal = InvalidOption(
                f"a node named {name!r} lives at {other.value.decode()}: stop that one, wait "
                "until its session has ended, or give this one another name (--name)"
            )
            self._site.process.note(f"no session: {self.refusal}")

    async def _keep(self, tenure: Tenure) -> None:
        site = self._site
        wait_ms = site.limits.lease_ms / 3
        if self.finished:
            await self.finish()
        while True:
            await pause(site.process, wait_ms)
            if not tenure.alive:
                return
            try:
                if not await self._renew(tenure):
                    return
                wait_ms = site.limits.lease_ms / 3
            except FastnessError as error:
                site.process.note(f"leases not renewed: {error}")
                wait_ms = RETRY_MS

    async def _renew(self, tenure: Tenure) -> bool:
        """Renew session and leases; whether the session still lives.

        The view that `refresh` reads is the coordinator's at one instant after it was asked for,
        so a lease that stands in it stood then: the same proof as comparing the keys of all that
        is held, in one request however much that is.
        """
        site = self._site
        if not await site.coordination.keep_alive(tenure.session):
            return False
        before_ns = await site.coordination.refresh()
        if not self.verify(tenure, before_ns):
            return False
        site.counts.renewals += 1
        return True

    def verify(self, tenure: Tenure, before_ns: int) -> bool:
        """Judge session and leases by the view just read, asked for at `before_ns`."""
        view = self._site.view
        if view.sessions.get(tenure.session) != tenure.revision:
            self.end(tenure)
            return False
        for holding in list(tenure.holdings.values()):
            revision = holding.standing(view, tenure.session)
            if revision:
                holding.lease.revision = revision
                holding.lease.proved(before_ns, self._site.limits.lease_ms)
            else:
                self._lose(holding)
        return True

    def _lose(self, holding: Holding) -> None:
        self._site.counts.leases_lost += 1
        self._site.process.note(f"{holding.lease.key} is no longer ours")
        holding.drop(moved(f"{holding.lease.key} has another holder"))

    def end(self, tenure: Tenure) -> None:
        """The session has ended: nothing under it is ours any more."""
        if not tenure.alive:
            return
        tenure.alive = False
        if self._site.tenure is tenure:
            self._site.tenure = None
        self._site.counts.sessions_lost += 1
        self._site.process.note(f"session {tenure.session} ended")
        for holding in list(tenure.holdings.values()):
            holding.drop(
                moved(f"the session of this node ended, and its hold of {holding.lease.key}")
            )
        tenure.holdings.clear()

    async def finish(self) -> None:
        """End the session for good. Nothing may be held any more."""
        self.finished = True
        tenure = self._site.tenure
        if tenure is None:
            return
        self.end(tenure)
        try:
            await self._site.coordination.end_session(tenure.session)
        except Unreachable:
            # It ends by itself when its time to live is over.
            self._site.process.note(f"session {tenure.session} left to run out")
