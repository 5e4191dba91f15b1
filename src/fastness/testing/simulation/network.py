"""The simulated network: frames late, reordered, lost, twice, damaged, or cut off altogether.

::

    Link      one direction between two actors: how long it takes, how often it fails
    Network   all links, the cuts between names, and the rates of failure

A frame normally takes 0.2 to 1 ms with a tail, drawn anew for each: frames overtake each other.
Processes, the coordinator and stores are all reached over links, so each can be cut off from
each, in one direction or both. Frames to an address where nobody lives vanish.

Only frames are duplicated and damaged: calls to the coordinator and to stores travel in
connections, which lose a call or hold it up, but do neither of those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappush
from random import Random
from typing import TYPE_CHECKING, Final

from fastness.testing.simulation.events import NANOSECONDS_PER_MILLISECOND, Actor
from fastness.testing.simulation.frames import damaged, described
from fastness.testing.simulation.trace import Trace

if TYPE_CHECKING:
    from fastness.testing.simulation.processes import SimulatedProcess

DELAYS: Final = 128
"""Delays drawn in advance for each kind of link; a frame picks one."""
LINK_KINDS: Final = 4
LOCAL_NS: Final = 5_000
ALWAYS: Final = 2.0
"""A draw is always below it: the link lets nothing pass."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How often a frame, or a call to a service, fails; each between 0 and 1."""

    drop: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    """Held up, for up to `delay_ms_max`: past timeouts, and past whatever is sent afterwards."""
    corrupt: float = 0.0
    delay_ms_max: float = 2_000.0

    @property
    def trouble(self) -> float:
        """How often anything at all goes wrong."""
        return self.drop + self.duplicate + self.delay + self.corrupt


class Link:
    """One direction from one actor to another, for frames or for calls."""

    __slots__ = (
        "_network",
        "_random",
        "_usual_delays",
        "cuts",
        "delays",
        "rates",
        "source",
        "target",
        "trouble",
    )

    def __init__(self, network: Network, source: Actor, target: Actor, delays: list[int]) -> None:
        """Made by `Network.link` and `Network.connect`."""
        self.source = source
        self.target = target
        self._usual_delays = delays
        self.delays = delays
        self.cuts = 0
        self.rates = Rates()
        self.trouble = 0.0
        """A draw below it leaves the fast path: the sum of the rates, or `ALWAYS`."""
        self._network = network
        self._random = network.random.random

    def call(self, callback: Callable[..., object], *args: object) -> None:
        """Have `callback` happen to the target once the call arrives, if it does."""
        self.call_after(0, callback, *args)

    def call_after(self, work_ns: int, callback: Callable[..., object], *args: object) -> None:
        """The same for a call whose source works on it for so long before it leaves."""
        draw = self._random()
        if draw < self.trouble:
            self._network.call_in_trouble(self, draw, callback, args)
        else:
            self.deliver(work_ns + self.delays[int(draw * DELAYS)], callback, args)

    def deliver(
        self, delay_ns: int, callback: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        """Have it happen to the target after this long, counted from when the source sent it."""
        source = self.source
        agenda = source.agenda
        now = agenda.now
        if now < source.busy_until:  # noqa: PLR1730 - a call of `max` costs three times as much
            now = source.busy_until
        agenda.sequence += 1
        heappush(agenda.heap, (now + delay_ns, agenda.sequence, self.target, callback, args))

    def drawn_delay(self) -> int:
        """How long the next one takes, in nanoseconds."""
        return self.delays[int(self._random() * DELAYS)]

    def slow_down(self, factor: float) -> None:
        """Take this many times as long as usual."""
        self.delays = [int(delay * factor) for delay in self._usual_delays]

    def refresh(self) -> None:
        """Take over changed cuts and rates."""
        self.trouble = ALWAYS if self.cuts else self.rates.trouble


class FrameLink(Link):
    """One direction from one process to another."""

    __slots__ = ("address", "arrive")

    def __init__(
        self,
        network: Network,
        source: SimulatedProcess,
        target: SimulatedProcess,
        delays: list[int],
    ) -> None:
        super().__init__(network, source, target, delays)
        self.address = source.address
        self.arrive = target.arrive

    def carry(self, frame: bytes) -> None:
        """Send a frame on its way."""
        trace = self._network.trace
        trace.contents.append(frame)
        draw = self._random()
        if draw < self.trouble:
            self._network.frame_in_trouble(self, draw, frame)
        else:
            self.deliver(self.delays[int(draw * DELAYS)], self.arrive, (self.address, frame))
        if trace.write is not None:
            self._network.describe(self, frame)


class Network:
    """All links of a world. Names, not addresses, are cut: a restarted process stays cut off."""

    def __init__(self, *, random: Random, trace: Trace, counts: Counter[str]) -> None:
        self.random = random
        self.trace = trace
        self.counts = counts
        """How often each thing went wrong."""
        self._kinds = [_draw_delays(random) for _ in range(LINK_KINDS)]
        self._processes: dict[str, SimulatedProcess] = {}
        self._links: dict[tuple[str, str], list[Link]] = {}
        self._cuts: Counter[tuple[str, str]] = Counter()
        self._healed = 0
        self._slow: dict[str, float] = {}
        self._frame_rates = Rates()
        self._call_rates: dict[str, Rates] = {}

    # Who is there.

    def attach(self, process: SimulatedProcess) -> None:
        """Frames to the process's address reach it from now on."""
        self._processes[process.address] = process

    def link(self, source: SimulatedProcess, address: str) -> FrameLink | None:
        """The way from a process to an address, `None` while nobody has ever lived there."""
        target = self._processes.get(address)
        if target is None:
            self.counts["frame to nobody"] += 1
            return None
        link = FrameLink(self, source, target, self._draw_kind(source, target))
        self._adopt(link, self._frame_rates)
        return link

    def connect(self, source: Actor, target: Actor) -> Link:
        """The way from a process to a service, or back; `service` rates apply to it."""
        link = Link(self, source, target, self._draw_kind(source, target))
        self._adopt(link, self._call_rates_of(link))
        return link

    def _draw_kind(self, source: Actor, target: Actor) -> list[int]:
        if source.name == target.name:
            return [LOCAL_NS] * DELAYS
        return self.random.choice(self._kinds)

    def _adopt(self, link: Link, rates: Rates) -> None:
        names = (link.source.name, link.target.name)
        self._links.setdefault(names, []).append(link)
        if names[0] == names[1]:
            return
        if self._slow:
            link.slow_down(self._slowness(names))
        link.rates = rates
        link.cuts = self._cuts[names]
        link.refresh()

    def _call_rates_of(self, link: Link) -> Rates:
        for name in (link.source.name, link.target.name):
            if name in self._call_rates:
                return self._call_rates[name]
        return Rates()

    def _slowness(self, names: tuple[str, str]) -> float:
        return max(self._slow.get(name, 1.0) for name in names)

    def _all_links(self) -> Iterable[Link]:
        for (source, target), links in self._links.items():
            if source != target:
                yield from links

    # What goes wrong.

    def set_frame_rates(self, rates: Rates) -> None:
        """How often frames fail from now on."""
        self._frame_rates = rates
        for link in self._all_links():
            if isinstance(link, FrameLink):
                link.rates = rates
                link.refresh()

    def set_call_rates(self, service: str, rates: Rates) -> None:
        """How often calls to a service, and its answers, fail from now on."""
        self._call_rates[service] = rates
        for link in self._all_links():
            if not isinstance(link, FrameLink):
                link.rates = self._call_rates_of(link)
                link.refresh()

    def cut(self, sources: Iterable[str], targets: Iterable[str]) -> Cut:
        """Let nothing pass from any of `sources` to any of `targets`, until healed.

        For a partition in both directions cut twice. What is on its way still arrives.
        """
        targets = list(targets)
        ways = [(source, target) for source in sources for target in targets if source != target]
        self._count_cuts(ways, 1)
        healed = self._healed

        def mend() -> None:
            if self._healed == healed:
                self._count_cuts(ways, -1)

        return Cut(mend)

    def slow_down(self, name: str, factor: float) -> None:
        """Have everything from and to a name take this many times as long (1: as usual)."""
        self._slow[name] = factor
        for names, links in self._links.items():
            if name in names and names[0] != names[1]:
                for link in links:
                    link.slow_down(self._slowness(names))

    def heal(self) -> None:
        """End every cut, slowness and failure rate."""
        self._healed += 1
        self._cuts.clear()
        self._frame_rates = Rates()
        self._call_rates.clear()
        for name in list(self._slow):
            self.slow_down(name, 1.0)
        for link in self._all_links():
            link.cuts = 0
            link.rates = Rates()
            link.refresh()

    def _count_cuts(self, ways: list[tuple[str, str]], change: int) -> None:
        for way in ways:
            self._cuts[way] += change
            for link in self._links.get(way, ()):
                link.cuts = self._cuts[way]
                link.refresh()

    # Where draws below `trouble` end.

    def frame_in_trouble(self, link: FrameLink, draw: float, frame: bytes) -> None:
        """What becomes of a frame that something happens to."""
        kind = self._kind_of_trouble(link, draw)
        self.counts[f"frame {kind}"] += 1
        if kind in ("cut", "drop"):
            return
        arrives = (link.address, frame)
        if kind == "corrupt":
            arrives = (link.address, damaged(frame, self.random))
        delay = link.drawn_delay()
        if kind == "duplicate":
            link.deliver(delay, link.arrive, arrives)
        if kind in ("delay", "duplicate"):
            delay = self._long_delay(link.rates)
        link.deliver(delay, link.arrive, arrives)

    def call_in_trouble(
        self, link: Link, draw: float, callback: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        """What becomes of a call, or an answer, that something happens to."""
        kind = self._kind_of_trouble(link, draw)
        self.counts[f"call {kind}"] += 1
        if kind == "delay":
            link.deliver(self._long_delay(link.rates), callback, args)

    def _kind_of_trouble(self, link: Link, draw: float) -> str:
        if link.cuts:
            return "cut"
        rates = link.rates
        for kind, rate in (
            ("drop", rates.drop),
            ("duplicate", rates.duplicate),
            ("delay", rates.delay),
        ):
            if draw < rate:
                return kind
            draw -= rate
        return "corrupt"

    def _long_delay(self, rates: Rates) -> int:
        """Between 1 ms and the longest, as likely short as long on a logarithmic scale."""
        milliseconds = rates.delay_ms_max ** self.random.random()
        return int(milliseconds * NANOSECONDS_PER_MILLISECOND)

    def describe(self, link: FrameLink, frame: bytes) -> None:
        """A line for a frame that was sent."""
        target = link.target.name
        self.trace.line(link.source.now, link.address, lambda: f"-> {target}  {described(frame)}")


class Cut:
    """Cuts that were made together."""

    def __init__(self, mend: Callable[[], None]) -> None:
        """Made by `Network.cut`."""
        self._mend: Callable[[], None] | None = mend

    def heal(self) -> None:
        """Let everything pass again, unless another cut is in the way. Harmless when repeated."""
        mend, self._mend = self._mend, None
        if mend is not None:
            mend()


def _draw_delays(random: Random) -> list[int]:
    """Delays of one kind of link: around 0.2 to 1 ms, every fiftieth some 10 ms."""
    typical_ms = random.uniform(0.2, 0.6)
    delays = []
    for _ in range(DELAYS):
        milliseconds = typical_ms * random.lognormvariate(0.0, 0.4)
        if random.random() < 0.02:
            milliseconds += random.expovariate(1 / 8.0)
        delays.append(int(milliseconds * NANOSECONDS_PER_MILLISECOND))
    return delays
