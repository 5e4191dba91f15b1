"""Keeps a session at the coordinator, and proves every lease under it again and again.

::

    open a session, bind sessions/<id> and nodes/<address>
    every third of the time to live:
        keep the session alive
        compare sessions/<id> and the key of everything held with the revisions known
        all as known:  the leases run on, from before this renewal began
        otherwise:     read everything; drop what is no longer ours
    the session has ended:  drop everything, open another

Losing touch with the coordinator drops nothing by itself: leases then simply run out, which
stops reads, and the store's fence stops writes once somebody else has taken over.
"""

from __future__ import annotations

from fastness.errors import FastnessError, Unreachable
from fastness.node.coordination import RETRY_MS, Change
from fastness.node.leases import Holding, Tenure
from fastness.node.refusals import moved
from fastness.node.site import Site
from fastness.node.waiting import pause
from fastness.placement.cluster_view import node_key, session_key
from fastness.placement.coordinator import Put

COMPARES_MAX = 100
"""Keys compared in one request; etcd takes 128 operations in one."""


class SessionKeeper:
    """See the module's page."""

    __slots__ = ("_site", "finished")

    def __init__(self, site: Site) -> None:
        self._site = site
        self.finished = False
        """No other session is opened."""

    async def run(self) -> None:
        """Keep a session, and another after that, until `finish`."""
        while True:
            tenure = await self._open()
            if tenure is None:
                return
            self._site.tenure = tenure
            self._site.counts.sessions += 1
            self._site.process.note(f"session {tenure.session} opened")
            self._site.changed.give()
            await self._keep(tenure)
            self.end(tenure)

    async def _open(self) -> Tenure | None:
        """A session, however long it takes; `None` once no other is wanted."""
        site = self._site
        while not self.finished:
            try:
                session = await site.coordination.open_session(site.limits.lease_ms)
                key = session_key(session)
                puts = [
                    Put(key, site.address.encode(), session),
                    Put(node_key(site.address), str(session).encode(), session),
                ]
                revision = await site.coordination.write_surely(Change({key: 0}, puts, key))
                if revision is not None:
                    return Tenure(session, revision)
            except FastnessError as error:
                site.process.note(f"no session: {error}")
            await pause(site.process, RETRY_MS)
        return None

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
        """Renew session and leases; whether the session still lives."""
        site = self._site
        before_ns = site.boot_ns()
        if not await site.coordination.keep_alive(tenure.session):
            return False
        holdings = list(tenure.holdings.values())
        for start in range(0, max(1, len(holdings)), COMPARES_MAX):
            part = holdings[start : start + COMPARES_MAX]
            compare = {one.lease.key: one.lease.revision for one in part}
            compare[session_key(tenure.session)] = tenure.revision
            if await site.coordination.write(compare, []) is None:
                before_ns = await site.coordination.refresh()
                return self.verify(tenure, before_ns)
            for one in part:
                one.lease.proved(before_ns, site.limits.lease_ms)
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
