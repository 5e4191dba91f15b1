"""backup, restore, export and import as commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import fastness
from tests.cli.commands import answer, failure, run, start
from tests.operations.records import Employee


def test_backup_and_restore(data: Path, tmp_path: Path) -> None:
    """A database comes back from its backup whole, under an identity of its own."""
    made = answer("backup", data, tmp_path / "backup")
    restored = answer("restore", tmp_path / "backup", tmp_path / "copy")
    assert restored["origin"]["identity"] == made["identity"] != restored["identity"]
    assert restored["origin"]["timestamp"] == made["timestamp"]
    assert restored["database"] == f"file:{tmp_path / 'copy'}"
    assert restored["bytes"] == made["bytes"] > 0
    assert run("scan", tmp_path / "copy").stdout == run("scan", data).stdout
    assert run("check", tmp_path / "copy").exit_code == 0


def test_what_is_said_for_people(data: Path, tmp_path: Path) -> None:
    """Without --json the answer is a sentence, and the next step is on stderr."""
    made = run("backup", data, tmp_path / "backup")
    assert "every commit up to 20" in made.stdout
    assert f"verify it with: fastness check {tmp_path / 'backup'}" in made.stderr
    restored = run("restore", tmp_path / "backup", tmp_path / "copy")
    assert restored.stdout.startswith(f"{tmp_path / 'copy'}: ")
    assert "restored from" in restored.stderr


def test_nothing_is_overwritten(data: Path, tmp_path: Path) -> None:
    """Targets that exist are refused by all four commands that make one."""
    answer("backup", data, tmp_path / "backup")
    assert failure("backup", data, tmp_path / "backup")["exit"] == 2
    assert failure("restore", tmp_path / "backup", data)["exit"] == 2
    (tmp_path / "file").write_text("mine")
    assert failure("export", data, tmp_path / "file")["exit"] == 2
    assert (tmp_path / "file").read_text() == "mine"
    answer("export", data, tmp_path / "export")
    assert failure("import", data, tmp_path / "export")["exit"] == 2


def test_export_and_import(data: Path, tmp_path: Path) -> None:
    """An export is JSON lines that make the same database, records included."""
    made = answer("export", data, tmp_path / "export.jsonl")
    lines = (tmp_path / "export.jsonl").read_text().splitlines()
    assert len(lines) == made["entries"] + 2
    assert all(isinstance(json.loads(line), dict) for line in lines)
    told = answer("import", tmp_path / "copy", tmp_path / "export.jsonl")
    assert told["written"] == told["entries"] == made["entries"]
    assert run("scan", tmp_path / "copy").stdout == run("scan", data).stdout
    assert run("check", tmp_path / "copy").exit_code == 0
    with fastness.open(f"file:{tmp_path / 'copy'}", schema=[Employee]) as copy:
        assert copy.run(lambda tx: tx.count(Employee.by_team, "team 1")) == 5
    again = answer("import", tmp_path / "copy", tmp_path / "export.jsonl")
    assert (again["written"], again["entries"]) == (0, made["entries"])


def test_export_through_a_pipe(data: Path, tmp_path: Path) -> None:
    """Stdout carries the export alone; the summary is on stderr, for programs too."""
    exported = run("export", data)
    assert "entries, " in exported.stderr
    told = run("export", data, "--json")
    assert json.loads(told.stderr)["file"] is None
    assert told.stdout.splitlines()[1:-1] == exported.stdout.splitlines()[1:-1]
    imported = run("import", tmp_path / "copy", stdin=exported.stdout_bytes)
    assert imported.exit_code == 0
    assert run("scan", tmp_path / "copy").stdout == run("scan", data).stdout


def test_overwrite(tmp_path: Path) -> None:
    """Plain keys go into a full database with --overwrite alone."""
    run("set", tmp_path / "one", "a", "1")
    run("set", tmp_path / "two", "b", "2")
    answer("export", tmp_path / "one", tmp_path / "export")
    assert "not empty" in failure("import", tmp_path / "two", tmp_path / "export")["message"]
    answer("import", tmp_path / "two", tmp_path / "export", "--overwrite")
    assert run("scan", tmp_path / "two").stdout == "a\t1\nb\t2\n"


def test_the_past_is_exported(data: Path, tmp_path: Path) -> None:
    """--at exports what was."""
    before = answer("set", data, "greeting", "first")["timestamp"]
    answer("set", data, "greeting", "second")
    made = answer("export", data, tmp_path / "export", "--at", before)
    assert made["timestamp"] == before
    assert '{"key":"greeting","value":"first"}' in (tmp_path / "export").read_text()


def _halved(text: str) -> str:
    return text[: len(text) // 2]


def _edited(text: str) -> str:
    return text.replace("hello", "hallo")


def _untrailed(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-1])


def _misspelt(text: str) -> str:
    return text.replace('{"key":"greeting"', '{"kex":"greeting"')


def _empty(_text: str) -> str:
    return ""


def _other(_text: str) -> str:
    return "some,other,format\n"


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (_halved, 4, "cut short"),
        (_edited, 4, "some line was changed"),
        (_untrailed, 4, "without its trailer"),
        (_misspelt, 4, "no line of"),
        (_empty, 2, "not the header of an export"),
        (_other, 2, "not the header of an export"),
    ],
)
def test_bad_exports(
    data: Path, tmp_path: Path, change: Callable[[str], str], code: int, told: str
) -> None:
    """Each kind of damage is named with its line, and leaves no trace of an import."""
    answer("export", data, tmp_path / "export")
    (tmp_path / "damaged").write_text(change((tmp_path / "export").read_text()))
    found = failure("import", tmp_path / "copy", tmp_path / "damaged")
    assert found["exit"] == code
    assert "line " in found["message"]
    assert told in found["message"]
    assert found["message"].endswith("Nothing was imported")
    assert not (tmp_path / "copy").exists()


@pytest.mark.process
def test_a_damaged_pipe(data: Path, tmp_path: Path) -> None:
    """From a pipe, what came before the damage is in, is counted, and can be completed."""
    with fastness.open(f"file:{data}") as database, database.transaction() as tx:
        for at in range(5_000):
            tx.set(b"key %05d" % at, b"value")
    exported = run("export", data).stdout_bytes
    with start("import", tmp_path / "copy", "-", "--json") as process:
        _out, told = process.communicate(exported[: len(exported) - 20])
    assert process.returncode == 4
    assert "4096 entries, through line 4097, are imported" in json.loads(told)["message"]
    assert run("check", tmp_path / "copy").exit_code == 1
    imported = answer("import", tmp_path / "copy", stdin=exported)
    assert imported["written"] == imported["entries"] - 4_096
    assert run("check", tmp_path / "copy").exit_code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["import", "TMP/new", "TMP/absent"], 2),
        (["import", "TMP/new", "TMP"], 2),
        (["restore", "TMP/absent", "TMP/new"], 2),
        (["restore", "DATA", "TMP/new"], 2),
        (["backup", "TMP/absent", "TMP/new"], 2),
        (["backup", "memory:", "TMP/new"], 2),
        (["backup", "DATA", "TMP/no/such/parent"], 2),
        (["export", "TMP/absent", "TMP/new"], 2),
        (["export", "DATA", "TMP/no/such/parent"], 2),
    ],
)
def test_bad_places(data: Path, tmp_path: Path, words: list[str], code: int) -> None:
    """A source that is not there, and a target that cannot be, are usage errors."""
    words = [word.replace("DATA", str(data)).replace("TMP", str(tmp_path)) for word in words]
    assert failure(*words)["exit"] == code
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_damaged_backup_is_not_restored(data: Path, tmp_path: Path) -> None:
    """Restore ends with 4, names the file, and leaves nothing."""
    answer("backup", data, tmp_path / "backup")
    (tmp_path / "backup" / "store" / "HIGHWATER").write_bytes(b"")
    told = failure("restore", tmp_path / "backup", tmp_path / "copy")
    assert told["exit"] == 4
    assert "HIGHWATER was changed" in told["message"]
    assert not (tmp_path / "copy").exists()
