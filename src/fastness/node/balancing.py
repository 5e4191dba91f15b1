"""Evens out what the nodes of a cluster have to do, again and again.

::

    every `limits.balance_ms`, on each node  count what was asked of each range held
    on the node with the oracle's role       ask every node for its report -> placement/balance.py
                                             -> ask leaseholders to split, to hand over

The figures travel by messages, not through the coordinator: they change all the time, and whoever
plans next can ask anew. Nothing relies on any of it: each step is what an operator may ask for at
any time, and is refused where the plan was made for something that has changed.
"""

from __future__ import annotations

import asyncio
from functools import partial

from fastness.node.held import HeldRanges
from fastness.node.oracle_seat import OracleSeat
from fastness.node.reports import SERVING
from fastness.node.site import Site
from fastness.node.waiting import pause, settle
from fastness.placement.balance import Load, Split, Step, plan
from fastness.wire.messages import Body, SplitRange, TransferLease
from fastness.wire.reports import NodeReport, RangeReport, ReportRequest


class Balancer:
    """See the module's page."""

    __slots__ = ("_held", "_oracle", "_rates", "_site")

    def __init__(self, site: Site, held: HeldRanges, oracle: OracleSeat) -> None:
        self._site = site
        self._held = held
        self._oracle = oracle
        self._rates: dict[int, float] = {}
        """What each range was last asked, where that was measured: it has just moved, maybe."""

    async def run(self) -> None:
        """Until the node is stopped."""
        site = self._site
        while True:
            await pause(site.process, site.limits.balance_ms)
            now_ns = site.boot_ns()
            for shell in self._held:
                shell.load.measure(now_ns)
            if self._oracle.held and not site.draining:
                await self._balance()
            elif self._rates:
                self._rates = {}

    async def _balance(self) -> None:
        reports = await self._reports()
        nodes = {
            address: {store.name for store in report.stores if not store.problem}
            for address, report in reports.items()
            if report.state == SERVING
        }
        for step in plan(nodes, self._loads(reports)):
            await self._ask(step)

    async def _reports(self) -> dict[str, NodeReport]:
        """What each node that lives tells; those that do not answer are left as they are."""
        answers = {
            address: self._called(address, ReportRequest()) for address in self._site.view.nodes
        }
        return {
            address: body
            for address, answer in answers.items()
            if isinstance(body := await answer, NodeReport)
        }

    def _called(self, to: str, body: Body) -> asyncio.Future[Body | None]:
        site = self._site
        answer: asyncio.Future[Body | None] = site.process.future()
        if not site.calls.call(to, body, site.boot_ns(), partial(settle, answer)):
            settle(answer, None)
        elif site.resting:
            site.wake()
        return answer

    def _loads(self, reports: dict[str, NodeReport]) -> list[Load]:
        """Every range that its holder still holds, with what it costs where it is settled."""
        found: dict[int, Load] = {}
        for address, report in reports.items():
            for told in report.ranges:
                placed = self._site.view.ranges.get(told.range_id)
                if placed is not None and placed.descriptor.holder == address:
                    found[told.range_id] = self._load(address, placed.descriptor.store, told)
        self._rates = {load.range_id: load.requests_s for load in found.values()}
        return list(found.values())

    def _load(self, address: str, store: str, told: RangeReport) -> Load:
        known = told.requests_s
        if not told.is_measured:
            # Who has just taken it has seen little of what it costs.
            known = max(known, self._rates.get(told.range_id, 0.0))
        return Load(
            told.range_id,
            told.generation,
            address,
            store,
            known,
            may_change=told.is_measured and told.may_commit and not told.doing,
            split_key=told.split_key,
            half_key=told.half_key if told.size_bytes > self._site.limits.range_bytes else b"",
        )

    async def _ask(self, step: Step) -> None:
        """Ask for a step; what becomes of it the next reports tell."""
        load, site = step.load, self._site
        if isinstance(step, Split):
            body: Body = SplitRange(load.range_id, load.generation, step.key)
            site.process.note(f"balance: split range {load.range_id}, {load.requests_s:.0f}/s")
        else:
            body = TransferLease(load.range_id, load.generation, step.to)
            site.process.note(
                f"balance: range {load.range_id}, {load.requests_s:.0f}/s, to {step.to}"
            )
        site.counts.balanced += 1
        await self._called(load.holder, body)
