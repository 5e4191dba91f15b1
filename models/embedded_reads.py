"""Snapshot reads beside group commit, exhaustively: two writers, a reader, a crash, a pruning.

    python -m models embedded_reads

A breadth-first search over every interleaving of a small abstraction of `hosting/inline.py`,
`hosting/reading.py` and `storage/base.py`. It shows that the protocol as built keeps what is
promised, and that each of its rules is needed: every rule is left out once, and the shortest
run in which something breaks then is printed.

What is modelled. Both writers write the keys x and y, blindly, so that a reader who sees one
key of a commit and not the other, or two values in turn, is caught. They join the open batch
alone or together. A leader closes the batch (draws its timestamps), applies, syncs, raises
`visible`, acknowledges: each a step of its own. The visible timestamp follows the clock while
no batch is being written. The reader draws R and reads each key as `core.py` does: the newest
cell first, `applying` after it, then the store, whose history is a second look, and the prune
horizon last. A pruning raises the horizon, then removes versions. The power may fail once:
what no sync had covered is gone or is found, and the oracle goes on above the durable ceiling.

What is promised:

* a value once read survives a crash (nothing undurable is shown);
* an acknowledged commit survives a crash, and whoever begins after it sees it;
* both keys are read as of one moment, the one R names, or `SnapshotTooOld` is raised;
* no commit timestamp lies at or below an R that was handed out, nor is one drawn twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from models.checker import Model, Scenario

KEYS = (0, 1)
WRITERS = (0, 1)
CLOCK_STEPS = 1
"""How often the visible timestamp follows the clock."""

Version = tuple[int, int]
"""Commit timestamp and who wrote it."""
Ended = tuple[int, int, int, int]
"""An overwritten version of the history: key, ended, committed, writer."""


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    VISIBLE_AFTER_SYNC = "visible is raised before the batch is synced"
    VISIBLE_BEFORE_ACKNOWLEDGING = "commits are acknowledged before visible is raised"
    APPLYING_BEFORE_APPLY = "applying is raised after the batch is applied"
    NO_TIMESTAMP_WHILE_WRITING = "visible follows the clock while a batch is being written"
    HORIZON_BEFORE_PRUNING = "versions are removed before the horizon rises"
    HORIZON_AFTER_READING = "the horizon is looked at before the store is read"
    HISTORY_AFTER_NEWEST = "history is looked at before the newest table"
    CEILING_WITH_BATCH = "the ceiling is not durable before what lies under it is told"


class Phase(Enum):
    """How far the batch being written has come."""

    IDLE = 0
    CLOSED = 1
    APPLIED = 2
    SYNCED = 3


class Writer(Enum):
    """How far a commit has come."""

    NEW = 0
    JOINED = 1
    WRITING = 2
    ACKNOWLEDGED = 3
    LOST = 4


class Disk(NamedTuple):
    """What a store holds."""

    newest: tuple[Version, Version] = ((0, -1), (0, -1))
    history: frozenset[Ended] = frozenset()
    ceiling: int = 0
    horizon: int = 0


class Reader(NamedTuple):
    """A reader between two of its steps."""

    at: int = 0
    """R, 0 before it was drawn."""
    owed: frozenset[int] = frozenset()
    """Writers acknowledged before it began."""
    key: int = 0
    step: str = "begin"
    early: Version | None = None
    """What the history held when it was looked at too early."""
    early_horizon: int = 0
    seen: tuple[Version | None, ...] = ()


class State(NamedTuple):
    """One state of everything."""

    memory: Disk = Disk()
    disk: Disk = Disk()
    writers: tuple[Writer, Writer] = (Writer.NEW, Writer.NEW)
    stamps: tuple[int, int] = (0, 0)
    """The commit timestamp of each writer, 0 before it is drawn."""
    phase: Phase = Phase.IDLE
    issued: int = 0
    visible: int = 0
    applying: int = 0
    horizon: int = 0
    """The host's, which readers look at."""
    pruning: int = 0
    """The horizon of a pruning that has begun, 0 for none; negative when only it is missing."""
    ticks: int = 0
    crashed: bool = False
    reader: Reader = Reader()
    shown: frozenset[int] = frozenset()
    """Writers of values that were read before a crash."""
    promised: int = 0
    """The highest timestamp told to anybody: an R handed out, or an acknowledged commit."""
    wrong: str = ""


Step = tuple[str, State]


def steps(state: State, without: Rule | None) -> Iterator[Step]:
    """Everything that can happen next."""
    yield from _commits(state, without)
    yield from _clock(state, without)
    yield from _reads(state, without)
    yield from _prunes(state, without)
    if not state.crashed:
        yield from _crash(state)


def _commits(state: State, without: Rule | None) -> Iterator[Step]:
    for writer in WRITERS:
        if state.writers[writer] is Writer.NEW:
            yield f"writer {writer} joins", _moved(state, (writer,), Writer.JOINED)
    members = tuple(w for w in WRITERS if state.writers[w] is Writer.JOINED)
    writing = tuple(w for w in WRITERS if state.writers[w] is Writer.WRITING)
    if state.phase is Phase.IDLE and members:
        yield _close(state, members, without)
    elif state.phase is Phase.CLOSED:
        yield "the batch is applied", _applied(state, writing)
    elif state.phase is Phase.APPLIED:
        raised = state._replace(applying=max(state.applying, state.issued))
        if without is Rule.VISIBLE_AFTER_SYNC and state.visible < max(state.stamps):
            yield "visible rises, unsynced", raised._replace(visible=max(state.stamps))
        yield "the batch is synced", raised._replace(disk=state.memory, phase=Phase.SYNCED)
    elif state.phase is Phase.SYNCED:
        yield from _settle(state, writing, without)


def _moved(state: State, who: tuple[int, ...], to: Writer) -> State:
    one, two = (to if w in who else state.writers[w] for w in WRITERS)
    return state._replace(writers=(one, two))


def _close(state: State, members: tuple[int, ...], without: Rule | None) -> Step:
    stamps, issued, wrong = list(state.stamps), state.issued, state.wrong
    for writer in members:
        issued += 1
        stamps[writer] = issued
        if issued <= state.promised:
            wrong = f"timestamp {issued} was told before, and is drawn again"
    memory = state.memory
    if without is not Rule.CEILING_WITH_BATCH:
        memory = memory._replace(ceiling=issued + 1)
    early = without is not Rule.APPLYING_BEFORE_APPLY
    return f"the batch of {members} closes, up to timestamp {issued}", _moved(
        state._replace(
            memory=memory,
            stamps=(stamps[0], stamps[1]),
            issued=issued,
            applying=issued if early else state.applying,
            phase=Phase.CLOSED,
            wrong=wrong,
        ),
        members,
        Writer.WRITING,
    )


def _applied(state: State, members: tuple[int, ...]) -> State:
    newest, history = list(state.memory.newest), set(state.memory.history)
    for writer in sorted(members, key=lambda w: state.stamps[w]):
        at = state.stamps[writer]
        for key in KEYS:
            history.add((key, at, *newest[key]))
            newest[key] = (at, writer)
    memory = state.memory._replace(newest=(newest[0], newest[1]), history=frozenset(history))
    return state._replace(memory=memory, phase=Phase.APPLIED)


def _settle(state: State, writing: tuple[int, ...], without: Rule | None) -> Iterator[Step]:
    done = max(state.stamps[w] for w in (*writing, *WRITERS))
    told = state._replace(promised=max(state.promised, done))
    if state.visible < done:
        yield "visible rises", state._replace(visible=done)
        if without is Rule.VISIBLE_BEFORE_ACKNOWLEDGING and writing:
            yield f"{writing} are acknowledged", _moved(told, writing, Writer.ACKNOWLEDGED)
    elif writing:
        yield (
            f"{writing} are acknowledged",
            _moved(told, writing, Writer.ACKNOWLEDGED)._replace(phase=Phase.IDLE),
        )
    else:
        yield "the leader is done", state._replace(phase=Phase.IDLE)


def _clock(state: State, without: Rule | None) -> Iterator[Step]:
    writing = state.phase is not Phase.IDLE
    if state.ticks == CLOCK_STEPS or (writing and without is not Rule.NO_TIMESTAMP_WHILE_WRITING):
        return
    now = state.issued + 1
    memory, disk = state.memory, state.disk
    if without is not Rule.CEILING_WITH_BATCH:
        # Recording a ceiling syncs everything written before it.
        memory = memory._replace(ceiling=max(memory.ceiling, now + 1))
        disk = memory
    yield (
        f"visible follows the clock to {now}",
        state._replace(memory=memory, disk=disk, issued=now, visible=now, ticks=state.ticks + 1),
    )


def _reads(state: State, without: Rule | None) -> Iterator[Step]:
    reader = state.reader
    if reader.step == "begin":
        owed = frozenset(w for w in WRITERS if state.writers[w] is Writer.ACKNOWLEDGED)
        first = "early" if without is Rule.HISTORY_AFTER_NEWEST else "newest"
        begun = Reader(at=state.visible, owed=owed, step=first)
        promised = max(state.promised, state.visible)
        yield (
            f"the reader draws R={state.visible}",
            state._replace(reader=begun, promised=promised),
        )
    elif reader.step == "early":
        found = _in_history(state, reader)
        yield (
            f"key {reader.key}: it looks at the history",
            state._replace(reader=reader._replace(step="newest", early=found)),
        )
    elif reader.step == "newest":
        yield from _looks_at_newest(state, reader, without)
    elif reader.step == "absent":
        # A deleted key's newest cell is absent; `applying` alone tells it from a key never set.
        older = state.applying <= reader.at
        after = _sees(state, None, None) if older else _history_next(state, without)
        yield f"key {reader.key}: absent, it compares applying ({state.applying}) with R", after
    elif reader.step == "history":
        early = without is Rule.HISTORY_AFTER_NEWEST
        found = reader.early if early else _in_history(state, reader)
        yield f"key {reader.key}: it looks at the history", _sees(state, found, without)


def _looks_at_newest(state: State, reader: Reader, without: Rule | None) -> Iterator[Step]:
    committed, writer = cell = state.memory.newest[reader.key]
    what = f"key {reader.key}: its newest version is of {committed}"
    if writer == DELETER and reader.key == DELETED:
        yield (
            f"key {reader.key}: no newest version",
            state._replace(reader=reader._replace(step="absent")),
        )
    elif committed <= reader.at:
        yield what, _sees(state, cell, None)
    else:
        yield what, _history_next(state, without)


DELETED, DELETER = 1, 1
"""Writer 1 deletes key 1, where it sets key 0: absence is told by `applying`."""


def _history_next(state: State, without: Rule | None) -> State:
    reader = state.reader._replace(step="history")
    if without is Rule.HORIZON_AFTER_READING:
        reader = reader._replace(early_horizon=state.horizon)
    return state._replace(reader=reader)


def _in_history(state: State, reader: Reader) -> Version | None:
    candidates = [
        (ended, committed, writer)
        for key, ended, committed, writer in state.memory.history
        if key == reader.key and committed <= reader.at < ended
    ]
    if candidates:
        _ended, committed, writer = min(candidates)
        return committed, writer
    return None


def _sees(state: State, cell: Version | None, without: Rule | None) -> State:
    reader = state.reader
    horizon = reader.early_horizon if without is Rule.HORIZON_AFTER_READING else state.horizon
    through_history = reader.step == "history"
    if through_history and reader.at < horizon:
        return state._replace(reader=Reader(step="too old"))
    seen = (*reader.seen, cell)
    shown = state.shown if cell is None or cell[1] < 0 else state.shown | {cell[1]}
    after = reader._replace(key=reader.key + 1, step="newest", seen=seen, early=None)
    if without is Rule.HISTORY_AFTER_NEWEST:
        after = after._replace(step="early")
    wrong = state.wrong or _wrong_read(state, reader, cell)
    if after.key == len(KEYS):
        after = Reader(step="done")
    return state._replace(reader=after, shown=shown, wrong=wrong)


def _wrong_read(state: State, reader: Reader, cell: Version | None) -> str:
    """What of a read is not as of R."""
    stamps = [
        (state.stamps[w], w)
        for w in WRITERS
        if 0 < state.stamps[w] <= reader.at and state.writers[w] is not Writer.LOST
    ]
    expected = max(stamps, default=(0, -1))
    missing = [w for w in reader.owed if state.stamps[w] > reader.at]
    if missing:
        return f"writer {missing[0]} was acknowledged before R={reader.at}, which does not see it"
    if _value(reader.key, cell) != _value(reader.key, expected):
        return f"key {reader.key} at R={reader.at} reads {cell}, not {expected}"
    return ""


def _value(key: int, cell: Version | None) -> int | None:
    """Who wrote the value: `None` for absent, -1 for what was there at the start."""
    if cell is None or (key == DELETED and cell[1] == DELETER):
        return None
    return cell[1]


def _prunes(state: State, without: Rule | None) -> Iterator[Step]:
    late = without is Rule.HORIZON_BEFORE_PRUNING
    if not state.pruning and state.visible > state.memory.horizon:
        to = state.visible
        # The mark is durable at once; recording it syncs what was written before.
        memory = state.memory._replace(horizon=to)
        begun = state._replace(pruning=to, memory=memory, disk=memory)
        yield (
            f"a pruning up to {to} begins",
            begun if late else begun._replace(horizon=max(state.horizon, to)),
        )
    elif state.pruning < 0:
        to = -state.pruning
        yield f"the horizon rises to {to}", state._replace(pruning=0, horizon=to)
    elif state.pruning:
        to = state.pruning
        kept = frozenset(row for row in state.memory.history if row[1] > to)
        memory = state.memory._replace(history=kept)
        yield (
            f"the versions ended by {to} are removed",
            state._replace(memory=memory, pruning=-to if late else 0),
        )


def _crash(state: State) -> Iterator[Step]:
    for found, how in ((state.disk, "lost"), (state.memory, "found")):
        there = {writer for _at, writer in found.newest} | {row[3] for row in found.history}
        horizon_covers = {w for w in WRITERS if 0 < state.stamps[w] <= found.horizon}
        wrong = state.wrong
        kept = there | horizon_covers
        for writer in set(WRITERS) - kept:
            if state.writers[writer] is Writer.ACKNOWLEDGED:
                wrong = wrong or f"writer {writer} was acknowledged, and is gone after a crash"
            if writer in state.shown:
                wrong = wrong or f"what writer {writer} wrote was read, and is gone after a crash"
        one, two = (_after_crash(state.writers[w], found=w in kept) for w in WRITERS)
        stamps = tuple(state.stamps[w] if w in kept else 0 for w in WRITERS)
        start = max(found.ceiling, *(at for at, _writer in found.newest))
        yield (
            f"the power fails; what was not synced is {how}",
            state._replace(
                memory=found,
                disk=found,
                writers=(one, two),
                stamps=(stamps[0], stamps[1]),
                phase=Phase.IDLE,
                issued=start,
                visible=start,
                applying=start,
                horizon=found.horizon,
                pruning=0,
                crashed=True,
                reader=Reader(),
                wrong=wrong,
            ),
        )


def _after_crash(writer: Writer, *, found: bool) -> Writer:
    """What is found stays, acknowledged or not. Who had not begun may yet begin."""
    if found:
        return Writer.ACKNOWLEDGED
    return Writer.NEW if writer is Writer.NEW else Writer.LOST


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="two writers, a reader, a pruning and a power failure",
            start=State(),
            steps=steps,
            wrong=lambda state: state.wrong,
            needs=tuple(Rule),
        ),
    ),
)
