"""A network of the cluster's own: a namespace for each member, joined by a bridge, with filters.

::

    this machine --- bridge --- etcd-1        10.213.N.1
       (clients)        |------ store-1-a     10.213.N.2
                        '------ node-1 ...    10.213.N.3

Every member has an address of its own, so that what passes between any two can be stopped, in one
direction or both, or lost at random: rules of nftables in the namespace of one of them. Packets
vanish; nobody is told. Needs root, `ip` (iproute2) and `nft` (nftables); `missing` says what is not
there. What a run that was killed left behind is removed by the next one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from fastness.errors import AddressUnavailable, InvalidOption, ProgramMissing

TABLE = "chaos"
NAMES = re.compile(r"\bfc(\d+)-[\w-]+")
BRIDGES = re.compile(r"\bfcb(\d+)\b")
INSIDE = "eth0"
"""A member's interface in its namespace."""
MEMBERS_MAX = 200
SUBNETS = 250
COMMAND_S = 30.0


def missing() -> str:
    """Why there can be no such network here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    absent = [f"{name} ({package})" for name, package in _PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    probe = f"fc{os.getpid()}-probe"
    try:
        _run("ip", "netns", "add", probe)
        _run("ip", "netns", "exec", probe, "nft", "add", "table", "inet", TABLE)
        _run("ip", "netns", "del", probe)
    except ProgramMissing as error:
        return str(error)
    return ""


_PROGRAMS = (("ip", "iproute2"), ("tc", "iproute2"), ("nft", "nftables"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What is stopped: at one member's, to and from others."""

    at: str
    peers: tuple[str, ...]
    incoming: bool = True
    """What the others send."""
    outgoing: bool = True
    percent: int = 100
    """How many packets vanish."""


@dataclass(slots=True)
class Network:
    """Use it as a context; `host_of` and `prefix_of` are for `LaptopCluster.up`."""

    _addresses: dict[str, str] = field(default_factory=dict)
    _cuts: dict[int, Cut] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _subnet: str = ""

    def __enter__(self) -> Self:
        _remove_leftovers()
        self._subnet = _free_subnet()
        bridge = _bridge(os.getpid())
        _run("ip", "link", "add", bridge, "type", "bridge")
        try:
            _run("ip", "address", "add", f"{self._subnet}.254/24", "dev", bridge)
            _run("ip", "link", "set", bridge, "up")
        except BaseException:
            _remove(os.getpid())
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _remove(os.getpid())

    def host_of(self, name: str) -> str:
        """The address of a member, whose namespace is made at the first question."""
        if name not in self._addresses:
            at = len(self._addresses) + 1
            if at > MEMBERS_MAX:
                raise InvalidOption(f"{name} would be member {at}: at most {MEMBERS_MAX} fit here")
            self._addresses[name] = f"{self._subnet}.{at}"
            _join(name, self._addresses[name], at)
        return self._addresses[name]

    def prefix_of(self, name: str) -> tuple[str, ...]:
        """What to put before a member's command."""
        self.host_of(name)
        return "ip", "netns", "exec", _namespace(name)

    def cut(self, cut: Cut) -> int:
        """Stop it from now on; a number to heal it by."""
        number = next(self._numbers)
        self._cuts[number] = cut
        self._write_rules(cut.at)
        return number

    def heal(self, number: int) -> None:
        """Let it pass again. Idempotent."""
        cut = self._cuts.pop(number, None)
        if cut is not None:
            self._write_rules(cut.at)

    def slow_down(self, name: str, *, kbit: int) -> None:
        """Let a member send no more than that; up to a second of it waits."""
        shape = ("tbf", "rate", f"{kbit}kbit", "burst", "16kb", "latency", "1s")
        _run("tc", "-n", _namespace(name), "qdisc", "replace", "dev", INSIDE, "root", *shape)

    def speed_up(self, name: str) -> None:
        """Let it send as it likes again."""
        _run("tc", "-n", _namespace(name), "qdisc", "del", "dev", INSIDE, "root")

    def _write_rules(self, name: str) -> None:
        """All rules of a member anew: the old ones go in the same step."""
        self.host_of(name)
        cuts = [cut for cut in self._cuts.values() if cut.at == name]
        lines = [f"table inet {TABLE} {{}}", f"delete table inet {TABLE}"]
        lines += [f"table inet {TABLE} {{"]
        for hook, side, wanted in (
            ("input", "saddr", [cut for cut in cuts if cut.incoming]),
            ("output", "daddr", [cut for cut in cuts if cut.outgoing]),
        ):
            lines += [f"chain {hook} {{", f"type filter hook {hook} priority 0;"]
            lines += list(self._rules(side, wanted))
            lines += ["}"]
        lines += ["}"]
        _run("ip", "netns", "exec", _namespace(name), "nft", "-f", "-", given="\n".join(lines))

    def _rules(self, side: str, cuts: Iterable[Cut]) -> Iterable[str]:
        for cut in cuts:
            others = ", ".join(self.host_of(peer) for peer in cut.peers)
            chance = "" if cut.percent >= 100 else f"numgen random mod 100 < {cut.percent} "
            yield f"ip {side} {{ {others} }} {chance}drop"


def _namespace(name: str) -> str:
    return f"fc{os.getpid()}-{name}"


def _bridge(pid: int) -> str:
    return f"fcb{pid}"


def _join(name: str, address: str, at: int) -> None:
    """Make a member's namespace, with one interface on the bridge."""
    space, inside, outside = _namespace(name), INSIDE, f"fcv{os.getpid()}x{at}"
    _run("ip", "netns", "add", space)
    pair = ("type", "veth", "peer", "name", inside, "netns", space)
    _run("ip", "link", "add", outside, *pair)
    _run("ip", "link", "set", outside, "master", _bridge(os.getpid()), "up")
    _run("ip", "-n", space, "address", "add", f"{address}/24", "dev", inside)
    _run("ip", "-n", space, "link", "set", inside, "up")
    _run("ip", "-n", space, "link", "set", "lo", "up")


def _free_subnet() -> str:
    taken = _run("ip", "-o", "address")
    for at in range(SUBNETS):
        subnet = f"10.213.{(os.getpid() + at) % SUBNETS}"
        if f" {subnet}." not in taken:
            return subnet
    raise AddressUnavailable(f"all of 10.213.0-{SUBNETS - 1} are in use: see 'ip address'")


def _remove_leftovers() -> None:
    """What runs left behind that live no more."""
    seen = NAMES.findall(_run("ip", "netns", "list")) + BRIDGES.findall(_run("ip", "-o", "link"))
    for pid in sorted({int(one) for one in seen}):
        if pid != os.getpid() and not Path(f"/proc/{pid}").exists():
            _remove(pid)


def _remove(pid: int) -> None:
    """Remove a run's interfaces, namespaces and bridge."""
    # A namespace goes when the system gets to it, and would keep its interfaces until then.
    for interface in re.findall(rf"\bfcv{pid}x\d+\b", _run("ip", "-o", "link")):
        _run("ip", "link", "del", interface)
    for found in NAMES.finditer(_run("ip", "netns", "list")):
        if int(found[1]) == pid:
            _run("ip", "netns", "del", found[0])
    if re.search(rf"\b{_bridge(pid)}\b", _run("ip", "-o", "link")):
        _run("ip", "link", "del", _bridge(pid))


def _run(*command: str, given: str = "") -> str:
    done = subprocess.run(  # noqa: S603 - our own words
        command, input=given, check=False, capture_output=True, text=True, timeout=COMMAND_S
    )
    if done.returncode != 0:
        raise ProgramMissing(
            f"'{' '.join(command)}' failed: {done.stderr.strip()}: run where it may (root, with "
            "network namespaces)"
        )
    return done.stdout
