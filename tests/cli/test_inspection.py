"""stat, check and version."""

from __future__ import annotations

import json
import os
from pathlib import Path

import fastness
from fastness.operations import backup_directory
from fastness.storage.rocksdb.identity import FORMAT
from tests.cli.commands import answer, failure, run
from tests.operations.records import Employee


def test_stat(data: Path) -> None:
    """Stat says what the database is, how large, and which kinds of records it holds."""
    told = answer("stat", data)
    assert len(told["identity"]) == 32
    assert told["held_by"] is None
    assert told["origin"] is None
    assert told["size"]["newest_keys"] > 10
    assert told["kinds"] == [
        {
            "kind": "Employee",
            "key": ["id"],
            "fields": {"id": "int", "name": "str", "team": "str", "salary": "int"},
            "indexes": {"by_name": "readable", "by_team": "readable"},
            "totals": {"in_team": "readable", "cost": "readable"},
        }
    ]
    plain = run("stat", data).stdout
    assert f"identity\t{told['identity']}\n" in plain
    assert "Employee\tid\tby_name, by_team\tin_team, cost\n" in plain


def test_stat_of_a_restored_database(data: Path) -> None:
    """A restored database says where it came from."""
    run("backup", data, data.parent / "backup")
    run("restore", data.parent / "backup", data.parent / "copy")
    told = answer("stat", data.parent / "copy")
    assert told["origin"]["identity"] == answer("stat", data)["identity"] != told["identity"]
    assert "restored from\t" in run("stat", data.parent / "copy").stdout


def test_stat_names_the_holder(data: Path) -> None:
    """While a process holds the directory stat says which, and forgets it afterwards."""
    with fastness.open(f"file:{data}"):
        assert answer("stat", data)["held_by"]["pid"] == os.getpid()
        assert f"held by\tprocess {os.getpid()} on " in run("stat", data).stdout
    assert "held by" not in run("stat", data).stdout


def test_check_finds_nothing(data: Path) -> None:
    """A sound database is exit code 0, and the answer says how much was read."""
    told = answer("check", data)
    assert told["ok"] is True
    assert told["findings"] == []
    assert told["rows"] > 40
    assert run("check", data).stdout.startswith("ok: ")


def _break(data: Path) -> None:
    with fastness.open(f"file:{data}", schema=[Employee]) as database:
        database.run(lambda tx: tx.unchecked_delete(tx.key_of(Employee, 3)))


def test_check_finds_contradictions(data: Path) -> None:
    """An index entry without its record is a finding, exit code 1, on stdout."""
    _break(data)
    result = run("check", data, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["ok"] is False
    assert {(one["part"], one["place"]) for one in told["findings"]} >= {
        ("records", "Employee.by_name")
    }
    plain = run("check", data)
    assert plain.exit_code == 1
    assert "records\tEmployee.by_name\tan entry leads to no record" in plain.stdout


def test_check_reports_what_cannot_be_opened(data: Path) -> None:
    """A database that damage keeps shut is a finding of check, and an error of all others."""
    manifest = next((data / "tables").glob("MANIFEST-*"))
    manifest.unlink()
    result = run("check", data, "--json")
    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)["findings"]
    assert "is missing" in finding["what"]
    assert failure("get", data, "greeting")["exit"] == 4
    assert failure("set", data, "greeting", "x")["exit"] == 4


def test_check_of_a_backup(data: Path) -> None:
    """A backup is checked by its digests first, then as a database."""
    backup = data.parent / "backup"
    backup_directory(data, backup)
    assert answer("check", backup)["rows"] > 40
    identity = backup / "store" / "FASTNESS"
    identity.write_text(identity.read_text() + " ")
    result = run("check", backup, "--json")
    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)["findings"]
    assert (finding["part"], finding["place"]) == ("backup", "FASTNESS")


def test_version() -> None:
    """Version names everything a bug report needs."""
    told = answer("version")
    assert told["fastness"] == fastness.__version__
    assert told["format"] == FORMAT
    assert {"python", "rocksdict", "msgspec", "typer", "rich", "prompt_toolkit"} <= told.keys()
    assert f"fastness\t{fastness.__version__}\n" in run("version").stdout
