"""The stores a node reaches: those registered at the coordinator, opened one by one and kept.

::

    stores/<name> at the coordinator -> open -> ranges there are claimed
                                          `-> cannot be opened: said why, tried again ever less

What is registered while the node runs is opened then, and closed once it is no more. An open store
looks after its own connections; one whose record changes is opened from the new record at the
node's next start. Before each stands the node's memory of what it lately read and wrote
(`hosting/remembering`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple

from msgspec import structs

from fastness.errors import FastnessError
from fastness.hosting.remembering import Pool, RememberingStore
from fastness.hosting.remote import RemoteStore
from fastness.limits import Limits
from fastness.node.site import Signal
from fastness.node.waiting import pause
from fastness.placement.coordinator import STORES, Coordinator
from fastness.placement.membership import StoreRecord, stores_in
from fastness.placement.samples import StoreSample
from fastness.runtime.process import Process

FIRST_PAUSE_MS = 100.0
PAUSE_MS_MAX = 5_000.0
"""Between two tries to open a store; twice as long after each that fails."""


class Opened(NamedTuple):
    """An open store, how it is closed, and how it is asked what lies where in it."""

    store: RemoteStore
    close: Callable[[], Coroutine[Any, Any, None]]
    survey: Callable[[], Coroutine[Any, Any, StoreSample]]


StoreOpener = Callable[[StoreRecord], Coroutine[Any, Any, Opened]]
"""Opens a store for this cluster; raises why it cannot be used."""


class StoreKeeper:
    """See the module's page."""

    def __init__(
        self,
        process: Process,
        coordinator: Coordinator,
        limits: Limits,
        *,
        open_store: StoreOpener,
        own: Mapping[str, StoreRecord],
        changed: Callable[[], None],
        is_used: Callable[[str], bool],
    ) -> None:
        """`own` have URLs this node uses in place of those registered; `changed` is told.

        `is_used` tells whether a range of a store is held: that one stays open, registered or not.
        """
        self.stores: dict[str, RemoteStore] = {}
        """Those that are open: this very mapping is the node's."""
        self.records: dict[str, StoreRecord] = {}
        """Those registered, as far as is known."""
        self.problems: dict[str, FastnessError] = {}
        """Why a registered store is not open."""
        self.samples: dict[str, StoreSample] = {}
        """What lies where in those that are open, as of the last survey."""
        self.remembered = Pool(limits.remembered_bytes)
        """What the node remembers of all of them."""
        self._process = process
        self._coordinator = coordinator
        self._limits = limits
        self._open_store = open_store
        self._own = own
        self._changed = changed
        self._is_used = is_used
        self._closers: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        self._opening: set[str] = set()
        self._look = Signal(process)
        self._unsurveyed = Signal(process)
        self._surveys: dict[str, Callable[[], Coroutine[Any, Any, StoreSample]]] = {}
        self._closed = False

    async def run(self) -> None:
        """Look for new stores, whenever something changed and every so often."""
        watch = self._coordinator.watch(STORES, self._look.give)
        try:
            while True:
                try:
                    await self.look()
                except FastnessError as error:
                    self._process.note(f"the stores were not read: {error}")
                await self._look.wait(10 * self._limits.poll_ms)
        finally:
            watch.cancel()

    async def look(self) -> None:
        """Read what is registered, and begin to open what is new."""
        _revision, entries = await self._coordinator.read(STORES)
        self.records = stores_in(entries)
        for name in self.records:
            if name not in self.stores and name not in self._opening and not self._closed:
                self._opening.add(name)
                # It ends with the store open, or with the process.
                _task = self._process.spawn(self._open(name), name=f"open store {name}")
        for name in self.problems.keys() - self.records.keys():
            del self.problems[name]
        for name in list(self._closers):
            if name not in self.records and not self._is_used(name):
                await self._let_go(name)
                self._process.note(f"store {name} is not registered any more: it was closed")

    async def _let_go(self, name: str) -> None:
        del self.stores[name], self._surveys[name]
        self.samples.pop(name, None)
        await self._closers.pop(name)()

    async def _open(self, name: str) -> None:
        pause_ms = FIRST_PAUSE_MS
        try:
            while name in self.records and not await self._opened(name):
                await pause(self._process, pause_ms)
                pause_ms = min(2 * pause_ms, PAUSE_MS_MAX)
        finally:
            self._opening.discard(name)

    async def _opened(self, name: str) -> bool:
        """Try once; `True` ends the trying."""
        record, own = self.records[name], self._own.get(name)
        if own is not None:
            record = structs.replace(record, url=own.url)
        try:
            opened = await self._open_store(record)
        except FastnessError as error:
            self.problems[name] = error
            self._process.note(f"store {name} cannot be used: {error}")
            return False
        if self._closed:
            await opened.close()
            return True
        self._closers[name] = opened.close
        self._surveys[name] = opened.survey
        self._unsurveyed.give()
        self.problems.pop(name, None)
        self.stores[name] = RememberingStore(opened.store, self.remembered, self._process)
        self._process.note(f"store {name} is open")
        self._changed()
        return True

    async def survey(self) -> None:
        """Ask each open store what lies where in it, every so often."""
        while True:
            for name, survey in list(self._surveys.items()):
                try:
                    self.samples[name] = await survey()
                except FastnessError as error:
                    self._process.note(f"store {name} was not surveyed: {error}")
            await self._unsurveyed.wait(self._limits.survey_ms)

    @property
    def is_settled(self) -> bool:
        """Whether every registered store is open, or was found to have a problem."""
        return bool(self.records) and all(
            name in self.stores or name in self.problems for name in self.records
        )

    async def close(self) -> None:
        """Close every store. Idempotent."""
        self._closed = True
        for name in list(self._closers):
            await self._let_go(name)
