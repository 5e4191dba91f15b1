"""What both faces of an embedded database share: the engine, its upkeep, its figures."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Iterable
from datetime import datetime
from random import Random
from threading import Condition
from typing import Any
from weakref import WeakSet

from fastness.cache import CacheCounts
from fastness.client.attempts import run_attempts
from fastness.client.figures import DatabaseStat, StoreStat
from fastness.client.freshness import AtLeast, Freshness, check_freshness
from fastness.client.running import ELDEST
from fastness.client.upkeep import Upkeep
from fastness.encoding.timestamps import Timestamp, from_datetime, to_milliseconds
from fastness.errors import (
    FastnessError,
    InvalidOption,
    InvalidTimestamp,
    NotFresh,
    SchemaError,
)
from fastness.hosting import InlineHost
from fastness.limits import Limits
from fastness.model import IndexOf, Record, TotalOf
from fastness.model.operations import Schema, build_all, read_schema, register
from fastness.ranges import Commit, CommitState
from fastness.runtime import Clock, SystemClock
from fastness.storage import Store


class Embedded:
    """One open database in this process."""

    def __init__(
        self,
        store: Store,
        *,
        url: str,
        limits: Limits,
        durable: bool,
        read_only: bool = False,
        clock: Clock | None = None,
        upkeep: bool = True,
    ) -> None:
        """Serve `store`. Without `upkeep` nothing runs by itself: call `upkeep_step`."""
        self.url = url
        self.store = store
        self.clock = clock or SystemClock()
        self.engine = InlineHost(
            store,
            limits=limits,
            clock=self.clock,
            random=Random(),  # noqa: S311 - retry jitter and ids, no secrets
            durable=durable,
            read_only=read_only,
        )
        self.schema = Schema(limits=limits)
        self._classes: list[type[Record]] = []
        self._schema_changed = Condition()
        self.problems: dict[str, str] = {}
        """Why indexes and totals cannot be built, by name; forgotten when classes are used."""
        self._upkeep = Upkeep(self)
        self._read_only = read_only
        self._opened_ns = self.clock.boot_ns()
        _open.add(self)
        if upkeep and not read_only:
            self._upkeep.start()

    def moment(self, at: Timestamp | datetime | None) -> Timestamp | None:
        """A read timestamp from what the user gave."""
        if isinstance(at, datetime):
            timestamp = from_datetime(at)
            newest = self.engine.read_timestamp()
            if to_milliseconds(timestamp) > max(self.clock.wall_ms(), to_milliseconds(newest)):
                raise InvalidTimestamp(f"{at.isoformat()} lies in the future: read the past or now")
            return min(timestamp, newest)
        if at is not None and (type(at) is not int or at < 0):
            raise InvalidTimestamp(f"at={at!r} is neither a timestamp nor a datetime")
        return at

    def require_fresh(self, freshness: Freshness | None) -> None:
        """Refuse what a read now could not meet. Only a database for inspection may be too old."""
        check_freshness(freshness)
        if freshness is None:
            return
        # Beside an owner, its reserve of timestamps says nothing of what can be seen.
        newest = self.store.applied if self._read_only else self.engine.read_timestamp()
        if isinstance(freshness, AtLeast):
            late = freshness.timestamp > newest
            if late and not self._read_only:
                raise InvalidTimestamp(
                    f"timestamp {freshness.timestamp} was never issued: the newest is {newest}"
                )
        else:
            passed_ms = (self.clock.boot_ns() - self._opened_ns) / 1e6
            late = self._read_only and passed_ms > freshness.milliseconds
        if late:
            raise NotFresh(
                f"{freshness} cannot be met: the database was opened for inspection as of "
                f"{newest}; open it again to see more"
            )

    def use(self, classes: Iterable[type[Record]]) -> list[str]:
        """Register record classes beside those known; what changed, in words."""
        if isinstance(classes, type):
            raise SchemaError(f"{classes!r} is one class: give a list, schema=[{classes.__name__}]")
        with self._schema_changed:
            wanted = list(dict.fromkeys([*self._classes, *classes]))
            # Whoever has a turn may need the lock held here, so nobody's turn is waited for.
            arguments = (wanted, self.engine.limits)
            registration = run_attempts(self, None, register, arguments, priority=ELDEST)
            self.schema = registration.schema
            self._classes = wanted
            self.problems.clear()
            self._schema_changed.notify_all()
        self._upkeep.kick()
        return registration.changes

    def refresh_schema(self) -> None:
        """Take up the stored schema: a build finished, or another process registered."""
        self.use(())

    def read_schema(self) -> Schema:
        """What the registry holds, also of classes this process does not know."""
        return run_attempts(self, None, read_schema, (self.engine.limits,))

    def build_indexes(self) -> dict[str, str]:
        """Build what is pending, in this thread; problems by name."""
        return build_all(
            lambda function, *args: run_attempts(self, None, function, args),
            self.refresh_schema,
            lambda: False,
        )

    def wait_until_readable(
        self, parts: Iterable[IndexOf[Any] | TotalOf[Any]], timeout: float | None
    ) -> bool:
        """Block until these are built; `SchemaError` when one cannot be, as the data is."""
        wanted = list(parts)

        def problems() -> list[str]:
            return [
                self.problems[name] for name in map(self._name_of, wanted) if name in self.problems
            ]

        with self._schema_changed:
            in_time = self._schema_changed.wait_for(
                lambda: problems() or all(self.schema.is_readable(part) for part in wanted), timeout
            )
            if problems():
                raise SchemaError("; ".join(problems()))
            return bool(in_time)

    def _name_of(self, part: IndexOf[Any] | TotalOf[Any]) -> str:
        plan = self.schema.index(part) if isinstance(part, IndexOf) else self.schema.total(part)
        return plan.name

    def cannot_build(self, name: str, problem: str) -> None:
        """Note why an index or total cannot be built, for whoever waits for it."""
        with self._schema_changed:
            self.problems[name] = problem
            self._schema_changed.notify_all()

    def outcome_of(self, identity: bytes) -> Commit:
        """The interrupted commit of this id; `InvalidOption` when there is none."""
        commit = self.engine.outcome(identity)
        if commit is None:
            raise InvalidOption(
                f"no interrupted commit has the id {identity.hex()}: only commits whose waiting "
                "was cancelled or interrupted in this process can be asked for"
            )
        return commit

    def stat(self) -> DatabaseStat:
        """Figures now."""
        engine = self.engine
        opened = StoreStat(
            identity=self.store.identity,
            applied=self.store.applied,
            prune_horizon=engine.prune_horizon,
            batches=engine.counts.batches,
            clock_jumps=engine.clock_jumps,
            size=self.store.size(),
        )
        return DatabaseStat(
            url=self.url,
            read_timestamp=engine.visible,
            commits=engine.counts.commits,
            conflicts=engine.counts.conflicts,
            watches=len(engine.watches),
            cache=CacheCounts(),
            server=None,
            store_told=opened,
        )

    def upkeep_step(self) -> bool:
        """Do one step of background work now; whether there may be more."""
        return self._upkeep.step()

    def close(self) -> None:
        """Stop the upkeep, finish commits, close the store. Idempotent."""
        _open.discard(self)
        self._upkeep.stop()
        self.engine.close()


_log = logging.getLogger("fastness.client")

_open: WeakSet[Embedded] = WeakSet()


def _close_all() -> None:
    """At exit: a thread inside the store while the interpreter goes would abort the process."""
    for embedded in list(_open):
        try:
            embedded.close()
        except FastnessError as error:
            _log.error("%s could not be closed at exit: %s", embedded.url, error)


atexit.register(_close_all)


def settled_timestamp(commit: Commit) -> Timestamp | None:
    """When a settled commit happened; `None` if it did not."""
    if commit.state is CommitState.COMMITTED:
        return commit.timestamp
    if commit.error is not None and commit.error.maybe_committed:
        raise commit.error
    return None


__all__ = ["Embedded", "settled_timestamp"]
