"""Time travel, tokens, exclusion, expiry and journals: each anomaly by hand, and a right run."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastness.testing import Outcome, Report
from fastness.testing.exclusion import check_exclusion
from fastness.testing.expiry import check_expiry
from fastness.testing.journals import check_journals, entry_of
from fastness.testing.ledger import Scanned, Set, StampKey
from fastness.testing.time_travel import check_time_travel
from fastness.testing.tokens import check_tokens
from fastness.testing.told import Told, check_told
from tests.histories.ledgers import Script, scan

FAILED, UNKNOWN = Outcome.FAILED, Outcome.UNKNOWN


@pytest.fixture
def script() -> Script:
    """An empty ledger."""
    return Script()


def require(report: Report, *names: str) -> None:
    """The report holds these classes, and every explanation names its attempts and keys."""
    assert sorted(report.counts) == sorted(names), str(report)
    for anomaly in report.anomalies:
        assert all(f"T{index} " in anomaly.explanation for index in anomaly.transactions)
        assert all(str(key) in anomaly.explanation for key in anomaly.keys)


# ----------------------------------------------------------------------- time travel

STATES = [
    dict(zip((b"a", b"b"), values, strict=True))
    for values in itertools.product((None, b"1", b"2"), repeat=2)
]


def random_past(random: Random) -> Script:
    """A few reads at two timestamps, nearly right."""
    script = Script()
    states = [random.choice(STATES) for _ in range(2)]
    for _ in range(random.randint(2, 4)):
        which = random.randrange(2)
        state = states[which] if random.random() < 0.8 else random.choice(STATES)
        if random.random() < 0.5:
            key = random.choice((b"a", b"b"))
            script.attempt(reads={key: state[key]}, at=which + 1)
        else:
            entries = tuple((key, value) for key, value in state.items() if value is not None)
            script.attempt(scans=(Scanned(b"a", b"c", entries),), at=which + 1)
    return script


def explained(script: Script) -> bool:
    """The definition: for each timestamp some state gives all answers."""
    return all(
        any(
            all(
                all(state[key] == value for key, value in one.reads)
                and all(
                    dict(page.entries) == {k: v for k, v in state.items() if v is not None}
                    for page in one.scans
                )
                for one in script.attempts
                if one.read_timestamp == timestamp
            )
            for state in STATES
        )
        for timestamp in (1, 2)
    )


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_time_travel_is_exact(seed: int) -> None:
    """Reads pass if and only if each timestamp has a state that gives them all."""
    random = Random(seed)
    for _ in range(25):
        script = random_past(random)
        assert check_time_travel(script.attempts).ok == explained(script)


def test_pasts_are_both_right_and_wrong() -> None:
    """The generator draws enough of both."""
    random = Random(1)
    verdicts = Counter(explained(random_past(random)) for _ in range(300))
    assert min(verdicts.values()) > 60, verdicts


def test_a_changed_past_is_explained(script: Script) -> None:
    """Both readers are named, and what each found."""
    script.attempt(reads={b"a": b"1"}, at=7)
    script.attempt(scans=(scan(b"a", b"c", b=b"2"),), at=7, past=True)
    report = check_time_travel(script.attempts)
    require(report, "changed-past")
    assert "at 7 T0 read a -> 1, and T1 read nothing" in str(report)


# ---------------------------------------------------------------------------- tokens


def tokens(script: Script) -> Report:
    """The verdict where two tokens lie in [a, z)."""
    return check_tokens(script.attempts, [b"t1", b"t2"], begin=b"a", end=b"z")


def test_pages_of_one_snapshot_are_one_scan(script: Script) -> None:
    """Pages are put together, in one attempt or several, forwards or backwards."""
    script.attempt(scans=(scan(b"m", b"z", x=b"t2"), scan(b"a", b"m", b=b"t1")), at=5)
    script.attempt(scans=(scan(b"a", b"m", b=b"t1"),), at=6, process=1)
    script.attempt(scans=(scan(b"m", b"z", x=b"t2"),), at=6, process=1)
    script.attempt(scans=(scan(b"a", b"m"),), at=7)
    require(tokens(script))


def test_a_missing_token(script: Script) -> None:
    """Lost between two pages."""
    script.attempt(scans=(scan(b"a", b"m", b=b"t1"), scan(b"m", b"z")), at=5)
    report = tokens(script)
    require(report, "missing-token")
    assert "1 of 2 are nowhere at 5: t2" in str(report)


def test_a_double_token(script: Script) -> None:
    """Found before it moved and after, though the scan did not finish."""
    script.attempt(scans=(scan(b"a", b"m", b=b"t1", c=b"t1"),), at=5)
    require(tokens(script), "double-token")


def test_a_strange_token_and_a_disordered_page(script: Script) -> None:
    """What nobody put there, and entries out of order."""
    page = Scanned(b"a", b"m", ((b"c", b"t1"), (b"b", b"t3")))
    script.attempt(scans=(page,), at=5)
    require(tokens(script), "strange-token", "disordered-page")


# ------------------------------------------------------------------------- exclusion


def test_exclusion(script: Script) -> None:
    """Two present keys of one group are found, whether read or scanned; of two groups not."""
    groups = [(b"a", b"b"), (b"c", b"d")]
    script.attempt(Set(b"a", b"1"), reads={b"a": None, b"b": None}, at=1, commits=2)
    script.attempt(reads={b"a": b"1", b"c": b"2"}, scans=(scan(b"a", b"c", a=b"1"),), at=3)
    require(check_exclusion(script.attempts, groups))
    script.attempt(Set(b"b", b"2"), reads={b"a": None, b"b": None}, at=1, commits=4)
    script.attempt(scans=(scan(b"a", b"c", a=b"1", b=b"2"),), at=5)
    report = check_exclusion(script.attempts, groups)
    require(report, "shared-group")
    assert report.anomalies[0].transactions == (3, 0, 2)


# ---------------------------------------------------------------------------- expiry


def test_expiry_in_order(script: Script) -> None:
    """Found alive below, committed below, gone from the expiry on."""
    script.attempt(Set(b"a", b"1", 50), commits=10)
    script.attempt(Set(b"b", b"1"), reads={b"a": b"1"}, at=20, commits=49)
    script.attempt(reads={b"a": b"1"})
    script.attempt(reads={b"a": None}, at=50)
    script.attempt(reads={b"a": b"1"}, at=20, past=True)
    require(check_expiry(script.attempts))


@pytest.mark.parametrize(
    ("at", "commits", "found"), [(50, 0, "read-after-expiry"), (20, 50, "commit-after-expiry")]
)
def test_an_expiry_that_is_late(script: Script, at: int, commits: int, found: str) -> None:
    """A snapshot, or a commit, at the expiry."""
    script.attempt(Set(b"a", b"1", 50), commits=10)
    script.attempt(Set(b"b", b"1"), reads={b"a": b"1"}, at=at, commits=commits)
    require(check_expiry(script.attempts), found)


def test_a_value_that_comes_back(script: Script) -> None:
    """Read without a timestamp after somebody was told one beyond the expiry."""
    script.attempt(Set(b"a", b"1", 50), commits=10)
    script.attempt(reads={b"z": None}, at=60)
    script.attempt(reads={b"a": b"1"})
    require(check_expiry(script.attempts), "revived")


# -------------------------------------------------------------------------- journals

PREFIX = b"j/"
WHOLE = PREFIX + b"\x80"


def stamped(timestamp: int) -> bytes:
    """The key of an entry."""
    return PREFIX + timestamp.to_bytes(8, "big") + bytes(2)


def write(script: Script, value: bytes, commits: int, outcome: Outcome = Outcome.OK) -> None:
    """Give key k a value, with an entry."""
    entry = StampKey(PREFIX, entry_of(b"k", value))
    script.attempt(Set(b"k", value), entry, commits=commits, outcome=outcome)


def page(begin: bytes, end: bytes, **entries: int) -> Scanned:
    """A scan that found values of k, each at a stamp: `page(.., _1=10)`."""
    found = {stamped(at): entry_of(b"k", name[1:].encode()) for name, at in entries.items()}
    return Scanned(begin, end, tuple(sorted(found.items())))


def test_a_journal_that_replays(script: Script) -> None:
    """Two entries, seen whole and page by page, one of unknown outcome, and the state beside."""
    write(script, b"1", 10)
    script.attempt(reads={b"k": b"1"}, scans=(page(PREFIX, WHOLE, _1=10),), at=15)
    write(script, b"2", 0, UNKNOWN)
    write(script, b"3", 0, FAILED)
    script.attempt(scans=(page(PREFIX, stamped(10) + b"\0", _1=10),), at=25)
    script.attempt(scans=(page(stamped(10) + b"\0", WHOLE, _2=20),), at=25)
    script.attempt(reads={b"k": b"2"}, scans=(page(PREFIX, WHOLE, _1=10, _2=20),), at=25)
    require(check_journals(script.attempts, [PREFIX]))


def test_an_entry_behind_a_reader(script: Script) -> None:
    """It appears at a stamp that an earlier scan had passed."""
    write(script, b"1", 10)
    script.attempt(scans=(page(PREFIX, WHOLE),), at=15)
    script.attempt(scans=(page(PREFIX, WHOLE, _1=10),), at=20)
    report = check_journals(script.attempts, [PREFIX])
    require(report, "missing-entry")


def test_an_entry_from_the_future(script: Script) -> None:
    """A scan shows what lies above its timestamp."""
    write(script, b"1", 10)
    script.attempt(scans=(page(PREFIX, WHOLE, _1=10),), at=5)
    require(check_journals(script.attempts, [PREFIX]), "late-entry")


def test_an_entry_under_another_stamp(script: Script) -> None:
    """The stamp is not the timestamp that was acknowledged."""
    write(script, b"1", 11)
    script.attempt(scans=(page(PREFIX, WHOLE, _1=10),), at=20)
    require(check_journals(script.attempts, [PREFIX]), "wrong-stamp")


def test_an_entry_of_nobody(script: Script) -> None:
    """It was written by what failed, or by nobody."""
    write(script, b"1", 0, FAILED)
    script.attempt(scans=(page(PREFIX, WHOLE, _1=10, _2=12),), at=20)
    report = check_journals(script.attempts, [PREFIX])
    require(report, "unwritten-entry")
    assert report.counts["unwritten-entry"] == 2


def test_a_state_that_diverged(script: Script) -> None:
    """The last entry says otherwise than the key."""
    write(script, b"1", 10)
    write(script, b"2", 20)
    script.attempt(reads={b"k": b"1"}, scans=(page(PREFIX, WHOLE, _1=10, _2=20),), at=25)
    require(check_journals(script.attempts, [PREFIX]), "diverged-state")


# -------------------------------------------------------------------------------- told


def test_an_outcome_that_was_told_must_hold(script: Script) -> None:
    """Told aborted, committed, or committed at another time; unknown ends prove nothing."""
    kept = script.attempt(Set(b"a", b"1"), commits=5)
    failed = script.attempt(Set(b"a", b"2"), outcome=FAILED)
    unknown = script.attempt(Set(b"a", b"3"), outcome=UNKNOWN)
    learned = script.attempt(Set(b"a", b"4"), outcome=UNKNOWN)
    learned.resolve(9)
    for one in script.attempts:
        one.identity = one.name.encode()
    right = [
        Told(kept.identity, 5),
        Told(failed.identity, 0),
        Told(unknown.identity, 7),
        Told(unknown.identity, 0),
        Told(learned.identity, 9),
        Told(b"of somebody else", 3),
    ]
    require(check_told(script.attempts, right))
    for wrong in (
        Told(kept.identity, 0),
        Told(kept.identity, 6),
        Told(failed.identity, 5),
        Told(learned.identity, 0),
    ):
        require(check_told(script.attempts, [*right, wrong]), "broken-word")
