"""What a node tells of itself to whoever asks: see `wire/figures.py` for who sees what."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

from fastness.node.held import HeldRanges
from fastness.node.site import Site
from fastness.ranges.ports import Caller
from fastness.wire.figures import FiguresAnswer, StoreFigures


class NodeFigures:
    """Answers requests for figures."""

    __slots__ = ("_agent", "_held", "_is_ready", "_site", "_started_ns", "_store")

    def __init__(
        self,
        site: Site,
        held: HeldRanges,
        is_ready: Callable[[], bool],
        store: Callable[[], StoreFigures | None],
    ) -> None:
        """`store` tells of the node's store, `None` where there is nothing to be told."""
        self._site = site
        self._held = held
        self._is_ready = is_ready
        self._store = store
        self._agent = f"fastness {metadata.version('fastness')}"
        self._started_ns = site.boot_ns()

    def answer(self, caller: Caller) -> None:
        """Answer with what this caller may see."""
        site, sender = self._site, caller.address
        answer = FiguresAnswer(
            agent=self._agent,
            uptime_ms=(site.boot_ns() - self._started_ns) // 1_000_000,
            is_ready=self._is_ready(),
            write_refusal=next(
                (str(one.refusal) for one in site.stores.values() if one.refusal), ""
            ),
            readable_since=max((one.leaseholder.prune_horizon for one in self._held), default=0),
            use=site.gate.use(sender),
            store=self._store() if site.gate.sees_store(sender) else None,
        )
        site.post.answer(sender, caller.number, answer)
