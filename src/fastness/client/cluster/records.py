"""Record classes of a cluster's client: the schema it knows, and the building of indexes.

A client that has registered classes builds what is pending, step by step, in the background.
Every step is a transaction that stores how far it came, so when it dies, or is overtaken, any
other client that knows the classes goes on from there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from fastness.client.cluster.attempts import ClusterAttempts
from fastness.client.cluster.background import Sleep
from fastness.client.cluster.core import ClusterCore
from fastness.client.cluster.transaction import ClusterTransaction
from fastness.client.running import ELDEST, run_async
from fastness.client.transaction import AsyncTransaction
from fastness.encoding.timestamps import Timestamp
from fastness.errors import (
    Conflict,
    DeadlineExceeded,
    FastnessError,
    MaybeCommitted,
    Retryable,
    SchemaError,
)
from fastness.model import (
    BuildStep,
    IndexOf,
    Record,
    Registration,
    TotalOf,
    build_step_async,
    register_async,
)
from fastness.model.layout import registry_key
from fastness.model.operations import Schema

LOOK_MS = 200.0
"""Between two looks at what others have built."""

BUSY_MS = 1_000.0
"""The longest pause of a builder that met another one."""

BUILDER_PLACES = (registry_key("build"), registry_key("clear"))
"""What keys begin with that say how far a builder has come."""

_log = logging.getLogger("fastness.upkeep")


class _OvertakenError(Exception):
    """Another client takes the same steps."""


class _PoliteAttempts(ClusterAttempts):
    """Attempts of a step of building, which end where another builder was faster.

    A conflict over anything else than the place where the builder stands is a writer's: then the
    step is taken again at once, as any transaction.
    """

    async def failed(self, tx: AsyncTransaction, error: FastnessError) -> None:
        """Pause, or raise."""
        if isinstance(error, Conflict) and error.key.startswith(BUILDER_PLACES):
            raise _OvertakenError from error
        await super().failed(tx, error)


class Records:
    """The record classes of one client."""

    def __init__(
        self,
        core: ClusterCore,
        begin: Callable[[tuple[Timestamp, bytes] | None], ClusterTransaction],
        *,
        builds: bool,
    ) -> None:
        """`builds`: whether to build in the background what is pending."""
        self.core = core
        self._builds = builds
        self.schema = Schema(limits=core.limits)
        self.problems: dict[str, str] = {}
        """Why indexes and totals cannot be built, by name; forgotten when classes are used."""
        self._begin = begin
        self._classes: list[type[Record]] = []
        self._building = False

    async def use(self, classes: Sequence[type[Record]]) -> list[str]:
        """Register record classes beside those known; what changed, in words."""
        if isinstance(classes, type):
            raise SchemaError(f"{classes!r} is one class: give a list, schema=[{classes.__name__}]")
        registration = await self._register(classes)
        if classes:
            self.problems.clear()
        self._start_building()
        return registration.changes

    async def refresh_schema(self) -> None:
        """Take up the stored schema: a build finished, or another process registered."""
        await self._register(())
        self._start_building()

    async def _register(self, classes: Sequence[type[Record]]) -> Registration:
        wanted = list(dict.fromkeys([*self._classes, *classes]))
        # It refreshes no schema after a conflict: that is what it does itself.
        attempts = ClusterAttempts(self, self._begin, None, ELDEST, refreshes=False)
        arguments = (wanted, self.core.limits)
        registration: Registration = await run_async(attempts, register_async, arguments, {})
        self.schema = registration.schema
        self._classes = list(dict.fromkeys([*self._classes, *wanted]))
        return registration

    # ---------------------------------------------------------------- building

    def _pending(self) -> bool:
        return bool(self.schema.catalog.clearing or self.schema.pending())

    def _start_building(self) -> None:
        wanted = self._builds and self._pending()
        if wanted and not self._building and not self.core.calls.is_closed:
            self._building = True
            self.core.background.start(self._keep_building(), "upkeep")

    async def _keep_building(self) -> None:
        calls = self.core.calls
        try:
            while self._pending() and not calls.is_closed:
                began_ns = calls.process.clock.boot_ns()
                try:
                    if not await self._build_step(self.problems, polite=True):
                        return
                except _OvertakenError:
                    # One builder is enough. Should it die, this one looks again soon.
                    pause_ms = self.core.random.uniform(BUSY_MS / 2, BUSY_MS)
                    await Sleep(calls, pause_ms).over()
                    await self._register(())
                    continue
                except (Retryable, DeadlineExceeded, MaybeCommitted) as error:
                    _log.info("a step of building failed, the next one goes on: %s", error)
                took_ms = (calls.process.clock.boot_ns() - began_ns) / 1e6
                await Sleep(calls, min(took_ms, self.core.limits.prune_pause_ms)).over()
        finally:
            self._building = False

    async def _build_step(self, problems: dict[str, str], *, polite: bool = False) -> bool:
        """One step of building; whether there may be more. A polite one gives way to others."""
        attempts = _PoliteAttempts if polite else ClusterAttempts
        step: BuildStep | None = await run_async(
            attempts(self, self._begin, None, ELDEST),
            build_step_async,
            (frozenset(problems),),
            {},
        )
        if step is None:
            return False
        if step.problem:
            problems[step.name] = step.problem
            _log.error("%s", step.problem)
        if step.finished:
            await self._register(())
        return True

    async def build_all(self) -> dict[str, str]:
        """Build what is pending, here and now; problems by name."""
        problems: dict[str, str] = {}
        while await self._build_step(problems):
            pass
        return problems

    async def wait_until_readable(
        self,
        parts: Sequence[IndexOf[Any] | TotalOf[Any]],
        timeout: float | None,  # noqa: ASYNC109 - counted by the process's own clock
    ) -> bool:
        """Wait until these are built, by whomever; `SchemaError` when one cannot be."""
        calls = self.core.calls
        ends_ns = calls.process.clock.boot_ns() + int((timeout or 0) * 1e9)
        names = [self._name_of(part) for part in parts]
        while not all(self.schema.is_readable(part) for part in parts):
            problems = [self.problems[name] for name in names if name in self.problems]
            if problems:
                raise SchemaError("; ".join(problems))
            left_ms = (ends_ns - calls.process.clock.boot_ns()) / 1e6
            if timeout is not None and left_ms <= 0:
                return False
            calls.require_open()
            await Sleep(calls, LOOK_MS if timeout is None else min(LOOK_MS, left_ms)).over()
            try:
                await self._register(())
            except (Retryable, DeadlineExceeded) as error:
                _log.info("the schema cannot be read now: %s", error)
        return True

    def _name_of(self, part: IndexOf[Any] | TotalOf[Any]) -> str:
        plan = self.schema.index(part) if isinstance(part, IndexOf) else self.schema.total(part)
        return plan.name


__all__ = ["Records"]
