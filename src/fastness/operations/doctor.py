"""Finds what is wrong with a cluster, and says what to do about it.

::

    survey     ask the coordinator, each member of etcd, each store, each node      I/O
    diagnose   what was seen -> findings, the gravest first                         pure

A finding is an *error* where something is not served or not safe, a *warning* where it is at risk
or wastes much, a *note* where somebody may want to know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from fastness.encoding.timestamps import to_milliseconds
from fastness.errors import FastnessError, Unreachable
from fastness.hosting.store_health import StoreHealth
from fastness.invariants import InvariantViolation
from fastness.limits import Limits
from fastness.operations.control import Control, Seen, SeenNode
from fastness.placement.descriptors import Descriptor, require_cover
from fastness.server.clustered import members_of, open_store, store_health, try_member

SURVEY_S_MAX = 15.0
"""How long one member or store may take."""

CLOCK_OFF_MS_MAX = 500.0
"""Leases are counted, not read off clocks; but expiry, retention and people go by wall clocks."""
MEMBERS_MIN = 3
DEAD_ROWS_MIN = 1_000_000
DEAD_SHARE = 0.5
"""Rows that a vacuum should have taken away, of all."""
BEHIND_BYTES = 256 << 20
OLD_TRANSACTION_S = 600.0
RETENTIONS_MAX = 3
"""A range that can be read so many times further back than `limits.retention_ms` is not pruned."""
LARGE_RANGE_BYTES = 4 << 30
UNDECIDED_MAX = 1_000


class Gravity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(NamedTuple):
    """One thing that is wrong, and the next step."""

    gravity: Gravity
    about: str
    """A node, a range, a store, a member: which."""
    what: str
    advice: str


@dataclass(slots=True)
class Survey:
    """A cluster as it was found, and what became of asking around."""

    seen: Seen
    members: dict[str, FastnessError | None] = field(default_factory=dict)
    """Each member of etcd, and why it cannot be used."""
    stores: dict[str, FastnessError | None] = field(default_factory=dict)
    """Each store, and why it cannot be opened from here."""
    health: dict[str, StoreHealth] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


async def survey(control: Control, url: str) -> Survey:
    """Ask everybody; who does not answer is found so. `url` is the coordinator's."""
    found = Survey(await control.look())
    members = members_of(url)
    names = list(found.seen.stores)
    answers = await asyncio.gather(
        *(_bounded(try_member(control.process, url, one)) for one in members),
        *(_bounded(_tried_store(control, found, name)) for name in names),
    )
    found.members = dict(zip(members, answers, strict=False))
    found.stores = dict(zip(names, answers[len(members) :], strict=True))
    return found


async def _tried_store(control: Control, found: Survey, name: str) -> None:
    record, cluster = found.seen.stores[name], found.seen.cluster
    if cluster is not None:
        # It commits nothing, so that it is answered while no standby is there.
        found.health[name] = await store_health(record)
        opened = await open_store(control.process, record, cluster, found.limits)
        await opened.close()


async def _bounded(asking: Coroutine[Any, Any, None]) -> FastnessError | None:
    """Why it failed, `None` where it did not."""
    try:
        async with asyncio.timeout(SURVEY_S_MAX):
            await asking
    except TimeoutError:
        return Unreachable(f"it did not answer within {SURVEY_S_MAX:.0f} s")
    except FastnessError as error:
        return error
    return None


def diagnose(found: Survey) -> list[Finding]:
    """What is wrong, the gravest first."""
    findings = [finding for rule in _RULES for finding in rule(found)]
    order = list(Gravity)
    return sorted(findings, key=lambda one: order.index(one.gravity))


# Nodes.


def _nodes(found: Survey) -> Iterator[Finding]:
    nodes = found.seen.nodes
    if not nodes:
        yield Finding(
            Gravity.ERROR,
            "nodes",
            "no node lives",
            "start some: fastness serve --coordinator ... --name NAME",
        )
    elif len(nodes) == 1:
        yield Finding(
            Gravity.WARNING,
            "nodes",
            "only one node lives: nobody takes over when it dies",
            "start another",
        )
    for node in nodes:
        yield from _node(node)


def _node(node: SeenNode) -> Iterator[Finding]:
    about = f"node {node.shown}"
    if node.problem is not None:
        yield Finding(
            Gravity.ERROR,
            about,
            f"it does not answer: {node.problem}",
            f"see that {node.address.partition('#')[0]} can be reached from here and from the "
            "other nodes, and restart it if it hangs",
        )
        return
    report = node.report
    if report is None:
        return
    if report.state == "waiting":
        yield Finding(
            Gravity.ERROR,
            about,
            "it has no session at the coordinator, and so holds nothing",
            "see whether etcd can be reached from it, and its log",
        )
    if report.state == "draining":
        yield Finding(
            Gravity.WARNING, about, "it was drained", "stop its process, and start it again"
        )
    if report.counts.get("alarms"):
        yield Finding(
            Gravity.ERROR,
            about,
            f"it raised {report.counts['alarms']} alarms: something happened that must not",
            "look for ALARM in its log, keep the log, and report it",
        )


def _clocks(found: Survey) -> Iterator[Finding]:
    told = [node for node in found.seen.nodes if node.report is not None]
    if not told:
        return
    first = min(told, key=lambda node: node.wall_off_ms)
    last = max(told, key=lambda node: node.wall_off_ms)
    apart = last.wall_off_ms - first.wall_off_ms
    if apart > CLOCK_OFF_MS_MAX:
        yield Finding(
            Gravity.WARNING,
            f"nodes {first.shown} and {last.shown}",
            f"their wall clocks are {apart:.0f} ms apart",
            "keep the clocks of all machines right (chrony, systemd-timesyncd)",
        )


def _versions(found: Survey) -> Iterator[Finding]:
    versions = sorted({node.version for node in found.seen.nodes if node.version})
    if len(versions) > 1:
        yield Finding(
            Gravity.NOTE,
            "nodes",
            f"they run different versions: {', '.join(versions)}",
            "finish the upgrade: restart the older ones with the newer version",
        )


def _oracle(found: Survey) -> Iterator[Finding]:
    seen = found.seen
    node = seen.node_at(seen.oracle)
    reported = any(node.report and node.report.is_oracle for node in seen.nodes)
    if seen.nodes and (node is None or not reported):
        yield Finding(
            Gravity.ERROR,
            "oracle",
            "no node issues timestamps: nothing can be committed or read at a timestamp",
            "it passes in some seconds where a node just died; else see what the nodes' logs say "
            "of the coordinator",
        )


# Ranges.


def _map(found: Survey) -> Iterator[Finding]:
    try:
        require_cover(found.seen.ranges)
    except InvariantViolation as error:
        yield Finding(
            Gravity.ERROR,
            "ranges",
            f"they do not cover every key once: {error}",
            "the coordinator was changed by hand or restored from an old backup: restore etcd's "
            "newest, and keep what is there",
        )


def _ranges(found: Survey) -> Iterator[Finding]:
    for one in found.seen.ranges:
        yield from _range(found, one)


def _range(found: Survey, one: Descriptor) -> Iterator[Finding]:
    seen, about = found.seen, f"range {one.range_id}"
    node, report = seen.node_at(one.holder), seen.report_of(one)
    if one.store not in seen.stores:
        yield Finding(
            Gravity.ERROR,
            about,
            f"it lies in store {one.store!r}, which is not registered",
            f"register it: fastness cluster add-store {one.store}=postgresql://...",
        )
    elif node is None or one.released:
        yield Finding(
            Gravity.ERROR,
            about,
            "nobody holds it",
            f"it passes in some seconds where a node just died; else no node can use store "
            f"{one.store!r}: see there",
        )
    elif report is None and node.problem is None:
        yield Finding(
            Gravity.ERROR,
            about,
            f"node {node.shown} holds its lease and does not serve it",
            f"see the node's log of store {one.store!r}; restart it if this stays",
        )
    if report is None:
        return
    issued = max((node.report.issued for node in seen.nodes if node.report), default=0)
    behind_ms = to_milliseconds(issued) - to_milliseconds(report.prune_horizon)
    if report.prune_horizon and behind_ms > RETENTIONS_MAX * found.limits.retention_ms:
        yield Finding(
            Gravity.WARNING,
            about,
            f"nothing was pruned of it for {behind_ms / 3_600_000:.1f} hours: old versions pile up",
            "a transaction may be undecided since then, or its node's store refuses to prune: see "
            "its log",
        )
    if report.undecided > UNDECIDED_MAX:
        yield Finding(
            Gravity.WARNING,
            about,
            f"{report.undecided} transactions are undecided in it",
            "see whether the ranges they began in are served",
        )
    if report.size_bytes > LARGE_RANGE_BYTES:
        yield Finding(
            Gravity.WARNING,
            about,
            f"it holds {report.size_bytes / (1 << 30):.1f} GiB: moving it takes long",
            "split it: fastness cluster split KEY",
        )


# Stores.


def _stores(found: Survey) -> Iterator[Finding]:
    seen = found.seen
    for name in seen.stores:
        about = f"store {name}"
        problem = found.stores.get(name)
        if problem is not None:
            yield Finding(
                Gravity.ERROR,
                about,
                f"it cannot be used from here: {problem}",
                "do what it says; Patroni promotes a standby within seconds where the primary died",
            )
        for node in seen.nodes:
            for report in () if node.report is None else node.report.stores:
                if report.name == name and (report.problem or report.refusal):
                    yield Finding(
                        Gravity.ERROR,
                        about,
                        f"node {node.shown} cannot use it: {report.problem or report.refusal}",
                        "do what it says",
                    )
        if seen.stores[name].allow_unreplicated:
            yield Finding(
                Gravity.WARNING,
                about,
                "it is taken without a synchronous standby: a lost server loses commits",
                "give it one, and register it again without --allow-unreplicated",
            )


def _health(found: Survey) -> Iterator[Finding]:
    for name, health in found.health.items():
        about = f"store {name}"
        synchronous = [one for one in health.standbys if one.is_synchronous]
        if health.hidden:
            yield Finding(
                Gravity.NOTE,
                about,
                f"how its {health.hidden} standbys fare is not shown to the role that nodes use",
                "GRANT pg_monitor TO that role",
            )
        elif not synchronous and not found.seen.stores[name].allow_unreplicated:
            yield Finding(
                Gravity.ERROR,
                about,
                "no synchronous standby follows it: commits wait until one does",
                "start the standby, and see Patroni's log",
            )
        for standby in health.standbys:
            if standby.bytes_behind > BEHIND_BYTES:
                yield Finding(
                    Gravity.WARNING,
                    about,
                    f"standby {standby.name} is {standby.bytes_behind >> 20} MiB behind",
                    "see its disk and network: it may be too slow to take over soon",
                )
        rows = health.live_rows + health.dead_rows
        if health.dead_rows > max(DEAD_ROWS_MIN, DEAD_SHARE * rows):
            yield Finding(
                Gravity.WARNING,
                about,
                f"{health.dead_rows:,} of {rows:,} rows are dead and not vacuumed away",
                "see that autovacuum is on, and what holds it up (old transactions, replication "
                "slots)",
            )
        if health.oldest_transaction_s > OLD_TRANSACTION_S:
            yield Finding(
                Gravity.WARNING,
                about,
                f"a transaction has been open for {health.oldest_transaction_s / 60:.0f} minutes: "
                "no vacuum takes away what it may see",
                "end it: pg_stat_activity shows whose it is",
            )


# The coordinator.


def _members(found: Survey) -> Iterator[Finding]:
    for member, problem in found.members.items():
        if problem is not None:
            yield Finding(
                Gravity.ERROR if not problem.retryable else Gravity.WARNING,
                f"etcd {member}",
                f"it cannot be used: {problem}",
                "do what it says, or start it: the others go on only while most of them run",
            )
    if 0 < len(found.members) < MEMBERS_MIN:
        yield Finding(
            Gravity.WARNING,
            "etcd",
            f"the URL names {len(found.members)} of its members: with fewer than {MEMBERS_MIN} the "
            "cluster stops when one dies",
            "run three or five members, and name all of them",
        )


_RULES: tuple[Callable[[Survey], Iterator[Finding]], ...] = (
    _members,
    _nodes,
    _oracle,
    _map,
    _ranges,
    _stores,
    _health,
    _clocks,
    _versions,
)
