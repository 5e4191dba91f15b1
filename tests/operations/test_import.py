"""Export and import: the copy is the original, and no interruption or damage tears it."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import pytest

from fastness.client import Database, open, open_async
from fastness.encoding.timestamps import to_datetime
from fastness.errors import InvalidOption, SnapshotTooOld, StoreDamaged
from fastness.limits import Limits
from fastness.operations import Progress, export_lines, import_lines, import_mark
from fastness.runtime import ManualClock
from tests.operations.contents import FAR_FUTURE, contents, fill, fill_plain

SMALL = replace(Limits(), transaction_keys=200)
"""Imports in transactions of 100 entries."""


class Pipe(io.BytesIO):
    """A stream that cannot go back."""

    def seekable(self) -> bool:
        """It is read once."""
        return False


class Stop(Exception):
    """The user had enough."""


def exported(database: Database) -> bytes:
    """The export of a database."""
    stream = io.BytesIO()
    export_lines(database, stream)
    return stream.getvalue()


def test_the_copy_is_the_original(source: Database, target: Database) -> None:
    """Keys, values, expiries and system keys arrive; so does nothing else."""
    fill(source, entries=500)
    report = import_lines(target, io.BytesIO(exported(source)))
    assert contents(target) == contents(source)
    assert report.entries == report.written == len(contents(source))
    assert report.origin == source.embedded.store.identity


def test_an_expiry_still_works_after_the_copy() -> None:
    """A value copied with its expiry expires in the copy, and is removed there."""
    clock = ManualClock()
    limits = replace(Limits(), retention_ms=1_000)
    with (
        open("memory:", clock=clock) as source,
        open("memory:", clock=clock, limits=limits) as target,
    ):
        expires_at = source.now() + (10_000 << 18)
        source.set(b"session", b"token", expires_at=expires_at)
        source.set(b"forever", b"1", expires_at=FAR_FUTURE)
        import_lines(target, io.BytesIO(exported(source)))
        assert target.get(b"session") == b"token"
        clock.advance(milliseconds=11_001)
        assert target.get(b"session") is None
        while target.embedded.upkeep_step():
            pass
        assert target.stat().store.size.newest_keys == 2  # "forever", the import's mark
        assert contents(target).keys() == {b"forever"}


def test_expired_values_are_not_exported() -> None:
    """A value gone at the snapshot is not part of it, removed or not."""
    clock = ManualClock()
    with open("memory:", clock=clock) as source:
        source.set(b"session", b"token", expires_at=source.now() + (5 << 18))
        clock.advance(milliseconds=6)
        assert b"session" not in exported(source)


def test_export_of_the_past(source: Database) -> None:
    """An export reads the moment it is told, by timestamp or by datetime."""
    source.set(b"a", b"old")
    before = source.now()
    source.set(b"a", b"new")
    stream = io.BytesIO()
    assert export_lines(source, stream, at=before).timestamp == before
    assert b'{"key":"a","value":"old"}' in stream.getvalue()
    export_lines(source, io.BytesIO(), at=to_datetime(source.now()))


def test_writes_during_an_export_are_left_out(source: Database) -> None:
    """An export is one snapshot, whatever is committed between its pages."""
    fill_plain(source, entries=1_000)

    def write(progress: Progress) -> None:
        source.set(b"key %06d" % (progress.done // 2), b"late")
        source.delete(b"key %06d" % (progress.done + 1))

    before = exported(source).splitlines()[1:-1]
    stream = io.BytesIO()
    export_lines(source, stream, progress=write)
    assert stream.getvalue().splitlines()[1:-1] == before
    assert exported(source).splitlines()[1:-1] != before


def test_an_export_overtaken_by_pruning_says_so(source: Database) -> None:
    """When its snapshot is pruned under it, an export ends with an error, not with a gap."""
    fill_plain(source, entries=1_000)

    def prune(_progress: Progress) -> None:
        for at in range(1_000):
            source.set(b"key %06d" % at, b"late")
        source.embedded.engine.prune_to(source.now())

    with pytest.raises(SnapshotTooOld):
        export_lines(source, io.BytesIO(), progress=prune)


def test_large_values_are_paged_by_size(source: Database, target: Database) -> None:
    """Values at their limit travel too, though few fit a page or a transaction."""
    for at in range(30):
        source.set(b"large %d" % at, bytes([at]) * (1 << 20))
    import_lines(target, io.BytesIO(exported(source)))
    assert contents(target) == contents(source)


def test_a_second_run_does_nothing(source: Database, target: Database) -> None:
    """Importing a complete import again writes nothing and says so."""
    fill(source, entries=10)
    data = exported(source)
    first = import_lines(target, io.BytesIO(data))
    target.set(b"later", b"kept")
    again = import_lines(target, io.BytesIO(data))
    assert (again.entries, again.written) == (first.entries, 0)
    assert target.get(b"later") == b"kept"


def test_an_interrupted_import_goes_on(source: Database) -> None:
    """Stopped after any transaction, the same import goes on where it stopped."""
    fill_plain(source, entries=1_000)
    data = exported(source)
    for stop_after in range(1, 10):
        with open("memory:", limits=SMALL) as target:
            _import_until(target, data, stop_after)
            mark = import_mark(target)
            assert mark is not None
            assert not mark.complete
            assert mark.entries == len(contents(target)) == stop_after * 100
            report = import_lines(target, io.BytesIO(data))
            assert report.written == 1_000 - mark.entries
            assert contents(target) == contents(source)


def _import_until(target: Database, data: bytes, chunks: int) -> None:
    seen = 0

    def stop(progress: Progress) -> None:
        nonlocal seen
        seen += progress.stage == "importing"
        if seen == chunks:
            raise Stop

    with pytest.raises(Stop):
        import_lines(target, io.BytesIO(data), progress=stop)


def test_another_export_does_not_go_on(source: Database) -> None:
    """An import interrupted half-way is not finished with another export."""
    fill_plain(source, entries=1_000)
    data = exported(source)
    with open("memory:", limits=SMALL) as target:
        _import_until(target, data, 3)
        with pytest.raises(InvalidOption, match=r"holds 300 entries of export .* interrupted"):
            import_lines(target, io.BytesIO(exported(source)))


def test_damage_writes_nothing(source: Database, target: Database) -> None:
    """A damaged file is read to its end first, and leaves the target as it was."""
    fill_plain(source, entries=1_000)
    lines = exported(source).splitlines(keepends=True)
    lines[700] = lines[700].replace(b"value 699", b"value 700")
    with pytest.raises(StoreDamaged, match=r"the digest is not .*Nothing was imported"):
        import_lines(target, io.BytesIO(b"".join(lines)))
    with pytest.raises(StoreDamaged, match=r"line 601: .*cut short.*Nothing was imported"):
        import_lines(target, io.BytesIO(b"".join(lines[:600])))
    assert contents(target) == {}
    assert import_mark(target) is None


def test_damage_in_a_pipe_counts_what_was_imported(source: Database) -> None:
    """Read from a pipe, the lines before the damage are in, and a sound copy completes them."""
    fill_plain(source, entries=1_000)
    data = exported(source)
    lines = data.splitlines(keepends=True)
    with open("memory:", limits=SMALL) as target:
        with pytest.raises(StoreDamaged, match=r"line 556: .*500 entries, through line 501"):
            import_lines(target, Pipe(b"".join(lines[:555])))
        report = import_lines(target, Pipe(data))
        assert report.written == 500
        assert contents(target) == contents(source)


def test_a_pipe_that_goes_on_differently_is_refused(source: Database) -> None:
    """After an interruption the lines already imported must be the same in the second run."""
    fill_plain(source, entries=1_000)
    data = exported(source)
    with open("memory:", limits=SMALL) as target:
        _import_until(target, data, 3)
        with pytest.raises(StoreDamaged, match="not the lines that were imported before"):
            import_lines(target, Pipe(data.replace(b"value 17", b"value xx")))


def test_a_full_database_is_refused(source: Database, target: Database) -> None:
    """Nothing is imported over other data unless asked for."""
    fill_plain(source, entries=10)
    target.set(b"mine", b"1")
    with pytest.raises(InvalidOption, match="not empty"):
        import_lines(target, io.BytesIO(exported(source)))
    assert contents(target) == {b"mine": (b"1", 0)}


def test_plain_keys_may_overwrite(source: Database, target: Database) -> None:
    """Asked to, plain keys are brought into a database that holds others."""
    fill_plain(source, entries=10)
    target.set(b"mine", b"1")
    target.set(b"key 000003", b"replaced")
    import_lines(target, io.BytesIO(exported(source)), overwrite=True)
    assert contents(target) == {**contents(source), b"mine": (b"1", 0)}


def test_records_never_overwrite(source: Database, target: Database) -> None:
    """Typed records are refused where there is anything, since schemas would contradict."""
    fill(source, entries=1)
    target.set(b"mine", b"1")
    with pytest.raises(InvalidOption, match="typed records"):
        import_lines(target, io.BytesIO(exported(source)), overwrite=True)
    assert contents(target) == {b"mine": (b"1", 0)}


def test_an_emptied_database_takes_the_same_import_again(
    source: Database, target: Database
) -> None:
    """Completeness is not believed of a database that has been emptied since."""
    fill_plain(source, entries=10)
    data = exported(source)
    import_lines(target, io.BytesIO(data))
    target.delete_range(b"", b"\xff")
    assert import_lines(target, io.BytesIO(data)).written == 10
    assert contents(target) == contents(source)


def test_asynchronous_databases_are_copied_alike(source: Database) -> None:
    """An `AsyncDatabase` is exported from and imported into as well."""
    fill(source, entries=10)
    data = exported(source)

    async def copy() -> bytes:
        async with await open_async("memory:") as target:
            await asyncio.to_thread(import_lines, target, io.BytesIO(data))
            stream = io.BytesIO()
            await asyncio.to_thread(export_lines, target, stream)
            return stream.getvalue()

    assert asyncio.run(copy()).splitlines()[1:-1] == data.splitlines()[1:-1]
