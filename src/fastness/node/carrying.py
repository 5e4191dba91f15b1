"""Carries a range to another store while it is served, and the last of it while it is paused.

::

    clear     what earlier residents of the interval left in the target, at an epoch of its own
    copy      every version as of a closed timestamp F0, in portions
    follow    what changed in (F0, F1], (F1, F2], ... until little is left
    verify    digests of both stores as of the last F, the whole range
    --- paused ---
    finish    what changed since, with records, and the digests of that

Nothing is ever committed at or below a closed timestamp any more, so what is read as of one is
final, whatever the range goes on to do, and no batch shows that may yet be lost. Loads are the
batches of the range being built: fenced, numbered, settled where their answer is lost. Drops have
no number: one that comes late is fenced because what is loaded is loaded at the next epoch.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, Fenced, StoreDamaged, Unreachable
from fastness.hosting.remote import RemoteStore, StoreDrop, StorePortion, StoreSelection
from fastness.invariants import present
from fastness.node.coordination import RETRY_MS
from fastness.node.shell import RangeShell
from fastness.node.site import Site
from fastness.node.waiting import pause, settle
from fastness.ranges.shape import Records
from fastness.storage.contract import Inherited, KeyVersions, Load, RangeState

T = TypeVar("T")

CLEARED_AT, BUILT_AT = 1, 2
"""The epochs of the range being built."""
TRIES_MAX = 20
"""Of one step, each after a store did not answer."""
FOLLOWS_MAX = 10
FEW_KEYS = 100
"""With no more than so many changed, the rest is left for the pause."""


class StoreAsker:
    """Requests to stores, awaited; their errors are raised."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def ask(self, request: Callable[..., None], *args: object) -> Any:  # noqa: ANN401 - whatever the store answers
        """One request, once."""
        future: asyncio.Future[Any] = self._site.process.future()
        request(*args, lambda answer: settle(future, answer))
        answer = await future
        if isinstance(answer, FastnessError):
            raise answer
        return answer

    async def again(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something that may be repeated, until a store answers."""
        failed: FastnessError | None = None
        for _ in range(TRIES_MAX):
            try:
                return await act()
            except Fenced:
                raise
            except FastnessError as error:
                if not error.retryable:
                    raise
                failed = error
                await pause(self._site.process, RETRY_MS)
        raise present(failed, "something was tried")

    async def opened(self, store: RemoteStore, range_id: int, epoch: int) -> RangeState:
        """Open a range at an epoch; once, for the next try may need another epoch."""
        state: RangeState = await self.ask(store.open_range, range_id, epoch)
        return state

    async def cleared(self, store: RemoteStore, drop: StoreDrop) -> None:
        """Remove all of an interval, step by step."""
        while await self.again(lambda: self.ask(store.drop, drop)):
            await pause(self._site.process, 0.0)


class _Reader(Protocol):
    """Answers selections of a range."""

    async def __call__(self, begin: bytes, up_to: Timestamp, after: Timestamp) -> StorePortion:
        """The first keys from `begin` on."""
        ...


class Carrier:
    """One move of one range; see the module's page for the order of calls."""

    def __init__(
        self, site: Site, shell: RangeShell, target: RemoteStore, *, range_id: int
    ) -> None:
        """`range_id` is that of the range to be built, one that was never used."""
        self._site = site
        self._shell = shell
        self._target = target
        self._source = site.stores[shell.store_name]
        self._range_id = range_id
        self._asker = StoreAsker(site)
        self._horizon = shell.leaseholder.prune_horizon
        self._number = 0
        self._carried: Timestamp = 0
        """Everything up to it is in the target."""
        self._verified: Timestamp = 0
        self._given_up: FastnessError | None = None

    @property
    def source_name(self) -> str:
        """The store from which it carries."""
        return self._shell.store_name

    def give_up(self, error: FastnessError) -> None:
        """Carry no more; whoever waits for the move is told why."""
        self._given_up = error

    def _require_wanted(self) -> None:
        self._shell.require_open()
        if self._given_up is not None:
            raise self._given_up

    async def build(self) -> None:
        """All but the last of it, while the range is served."""
        await self._asker.opened(self._target, self._range_id, CLEARED_AT)
        interval = (self._shell.shape.begin, self._shell.shape.end)
        limit = self._site.limits.prune_step_keys
        drop = StoreDrop(self._range_id, CLEARED_AT, interval, limit)
        await self._asker.cleared(self._target, drop)
        state = await self._asker.opened(self._target, self._range_id, BUILT_AT)
        self._number = state.batch_number
        for _ in range(FOLLOWS_MAX):
            if await self._carry(self._shell.leaseholder.closed) <= FEW_KEYS:
                break
        await self._verify()

    async def finish(self, records: Records) -> RangeState:
        """The last of it, while the range is paused; what the range begins with over there."""
        self._shell.require_open()
        holder = self._shell.leaseholder
        await self._carry(max(self._carried, holder.range.visible))
        await self._verify()
        applied = holder.range.visible
        horizon = self._horizon = max(self._horizon, holder.prune_horizon)
        born = Inherited(self._range_id, BUILT_AT, applied, horizon, records)
        await self._load([], born)
        return RangeState(self._range_id, BUILT_AT, self._number, applied, horizon, dict(records))

    async def _carry(self, up_to: Timestamp) -> int:
        """Load what changed since the last pass, everything in the first; how many keys."""
        after, count = self._carried, 0
        begin: bytes | None = self._shell.shape.begin
        while begin is not None and (up_to > after or not after):
            portion = await self._read_source(begin, up_to, after)
            if portion.keys:
                await self._load(portion.keys, None)
            count += len(portion.keys)
            begin = portion.rest
        self._carried = max(up_to, after)
        self._site.counts.keys_carried += count
        return count

    async def _read_source(self, begin: bytes, up_to: Timestamp, after: Timestamp) -> StorePortion:
        """A portion of the source, never from before a batch that was acknowledged."""
        return await self._read(
            self._source, self._shell.range_id, begin, up_to, after, self._shell.acknowledged
        )

    async def _read_target(self, begin: bytes, up_to: Timestamp, after: Timestamp) -> StorePortion:
        """A portion of what was loaded, all of it."""
        return await self._read(self._target, self._range_id, begin, up_to, after, self._number)

    async def _read(  # noqa: PLR0917 - of two stores, what makes up one question
        self,
        store: RemoteStore,
        range_id: int,
        begin: bytes,
        up_to: Timestamp,
        after: Timestamp,
        number: int,
    ) -> StorePortion:
        interval = (begin, self._shell.shape.end)
        size = self._site.limits.move_bytes
        wanted = StoreSelection(range_id, interval, up_to, after, self._horizon, size)

        async def read() -> StorePortion:
            self._require_wanted()
            portion: StorePortion = await self._asker.ask(store.versions, wanted)
            if portion.number < number:
                raise Unreachable(f"range {range_id}: an old primary answers: try again")
            return portion

        return await self._asker.again(read)

    async def _load(self, keys: list[KeyVersions], born: Inherited | None) -> None:
        """One load, under as many numbers as it takes."""
        failed: FastnessError | None = None
        for _ in range(TRIES_MAX):
            self._require_wanted()
            self._number += 1
            load = Load(self._range_id, BUILT_AT, self._number, keys, self._horizon, born)
            try:
                await self._asker.ask(self._target.load, load)
            except Fenced:
                raise
            except FastnessError as error:
                failed = error
                if await self._settled(load.number):
                    return
            else:
                return
        raise present(failed, "something was tried")

    async def _settled(self, number: int) -> bool:
        async def settled() -> bool:
            ask = self._asker.ask
            took_place: bool = await ask(self._target.settle, self._range_id, BUILT_AT, number)
            return took_place

        return await self._asker.again(settled)

    async def _verify(self) -> None:
        """Compare what both stores have of what changed since this was last done."""
        after, up_to = self._verified, self._carried
        if after and up_to == after:
            return
        here = await self._digest(self._read_source, up_to, after)
        there = await self._digest(self._read_target, up_to, after)
        if here != there:
            raise StoreDamaged(
                f"range {self._shell.range_id} was not carried faithfully: as of {up_to} its "
                f"digest is {here} in store {self._shell.store_name!r} and {there} where it was "
                "loaded; the move was given up, the range stays where it is: check both stores"
            )
        self._verified = up_to

    async def _digest(self, read: _Reader, up_to: Timestamp, after: Timestamp) -> str:
        """Of every key and version, in order, whatever the portions they come in."""
        digest = hashlib.blake2b(digest_size=16)
        begin: bytes | None = self._shell.shape.begin
        while begin is not None:
            portion = await read(begin, up_to, after)
            for key, versions in portion.keys:
                digest.update(b"%d %d " % (len(key), len(versions)) + key)
                for cell, ended in versions:
                    digest.update(b"%d %d " % (len(cell), ended) + cell)
            begin = portion.rest
        return digest.hexdigest()
