"""get, set, delete and scan: what they print, for people and programs, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fastness
from fastness.model import Entity
from tests.cli.commands import answer, failure, run


def test_set_then_get(tmp_path: Path) -> None:
    """The first thing anyone does works, and says that it made a database."""
    written = run("set", tmp_path / "new", "greeting", "hello")
    assert written.exit_code == 0
    assert written.stdout == ""
    assert "created a new database in" in written.stderr
    assert "committed at " in written.stderr
    assert run("get", tmp_path / "new", "greeting").stdout == "hello\n"
    assert "created" not in run("set", tmp_path / "new", "a", "b").stderr


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("greeting", "hello\n"),
        ("lines", "one\ntwo\n"),
        ("binary", "hex:00ff\n"),
        ('("users", 42)', '{"name": "Ann"}\n'),
        ("hex:6772656574696e67", "hello\n"),
    ],
)
def test_get(data: Path, key: str, shown: str) -> None:
    """A key in any notation finds its value, and a readable value is printed as it is."""
    assert run("get", data, key).stdout == shown
    assert run("get", f"file:{data}", key).stdout == shown


def test_get_raw(data: Path) -> None:
    """--raw gives the bytes and nothing else."""
    assert run("get", data, "binary", "--raw").stdout_bytes == b"\x00\xff"
    assert run("get", data, "greeting", "--raw").stdout_bytes == b"hello"


def test_absent(data: Path) -> None:
    """An absent key is exit code 1, said on stderr, and null in JSON."""
    result = run("get", data, "never")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "there is no key never\n"
    result = run("get", data, "never", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"key": "never", "found": False, "value": None}


def test_what_is_printed_can_be_given_back(data: Path) -> None:
    """Keys and values from the JSON of scan, given to set, make the same database."""
    copy = data.parent / "copy"
    lines = run("scan", data, "--json").stdout.splitlines()
    assert len(lines) == 4
    for line in lines:
        entry = json.loads(line)
        answer("set", copy, entry["key"], entry["value"])
        assert answer("get", data, entry["key"])["value"] == entry["value"]
    assert run("scan", copy).stdout == run("scan", data).stdout


def test_scan(data: Path) -> None:
    """Piped, scan gives a line per entry, key and value parted by a tab."""
    assert run("scan", data).stdout.splitlines() == [
        '("users", 42)\t{"name": "Ann"}',
        "binary\thex:00ff",
        "greeting\thello",
        'lines\t"one\\ntwo"',
    ]


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (["--prefix", '("users",)'], ['("users", 42)']),
        (["--prefix", "gr"], ["greeting"]),
        (["--begin", "binary", "--end", "lines"], ["binary", "greeting"]),
        (["--begin", "c"], ["greeting", "lines"]),
        (["--end", "c"], ['("users", 42)', "binary"]),
        (["--reverse", "--limit", "2"], ["lines", "greeting"]),
        (["--limit", "4"], ['("users", 42)', "binary", "greeting", "lines"]),
        (["--prefix", "nothing"], []),
    ],
)
def test_scan_options(data: Path, options: list[str], keys: list[str]) -> None:
    """Each option chooses the entries it says."""
    assert run("scan", data, "--keys-only", *options).stdout.splitlines() == keys


@pytest.mark.parametrize("direction", [[], ["--reverse"]])
def test_scan_goes_on(data: Path, direction: list[str]) -> None:
    """What a limited scan names as the place to go on gives exactly the rest."""
    whole = run("scan", data, *direction).stdout
    first = run("scan", data, "--limit", "2", "--json", *direction)
    told = json.loads(first.stderr)
    ((option, key),) = [(name, value) for name, value in told.items() if name != "more"]
    rest = run("scan", data, f"--{option}", key, *direction).stdout
    assert run("scan", data, "--limit", "2", *direction).stdout + rest == whole
    assert f"go on with --{option}" in run("scan", data, "--limit", "2", *direction).stderr


def test_delete(data: Path) -> None:
    """Keys go together, a prefix as an interval, and absent ones are no error."""
    answer("delete", data, "greeting", "never")
    assert run("get", data, "greeting").exit_code == 1
    answer("delete", data, "--prefix", '("users",)')
    assert run("scan", data, "--keys-only").stdout == "binary\nlines\n"
    assert failure("delete", data)["error"] == "invalid_option"


def test_the_past(data: Path) -> None:
    """--at reads what was before, by timestamp, by time and by how long ago."""
    before = answer("set", data, "greeting", "first")
    after = answer("set", data, "greeting", "second")
    assert answer("get", data, "greeting", "--at", before["timestamp"])["value"] == "first"
    assert answer("get", data, "greeting", "--at", after["time"])["value"] == "second"
    assert run("get", data, "greeting", "--at", "30m").exit_code == 1
    assert '"first"' in run("scan", data, "--at", before["timestamp"], "--json").stdout


def test_timestamps_survive_parsers_of_json(data: Path) -> None:
    """Timestamps are texts in JSON: a number this large is rounded by many parsers."""
    stamp = answer("set", data, "a", "b")["timestamp"]
    assert isinstance(stamp, str)
    assert float(stamp) > 2**53


def test_a_value_from_stdin(data: Path) -> None:
    """'-' takes the value, any bytes, from stdin."""
    run("set", data, "piped", "-", stdin=b"\x00any bytes\xff\n")
    assert run("get", data, "piped", "--raw").stdout_bytes == b"\x00any bytes\xff\n"


def test_expiry(data: Path) -> None:
    """A value with an expiry is there until then."""
    answer("set", data, "session", "token", "--expires-in", "1h")
    assert run("get", data, "session").stdout == "token\n"
    assert failure("set", data, "session", "token", "--expires-in", "soon")["exit"] == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["get", "DATA", "hex:0"], "invalid_encoding"),
        (["get", "DATA", "(users, 42)"], "invalid_encoding"),
        (["get", "DATA", "hex:ff01"], "invalid_key"),
        (["get", "DATA", "x" * 9_000], "limit_exceeded"),
        (["get", "DATA", "a", "--at", "yesterday"], "invalid_timestamp"),
        (["get", "DATA", "a", "--at", "2026-01-01T00:00:00"], "invalid_timestamp"),
        (["get", "DATA", "a", "--at", "2999-01-01T00:00:00Z"], "invalid_timestamp"),
        (["get", "DATA", "a", "--at", "9223372036854775807"], "invalid_timestamp"),
        (["scan", "DATA", "--begin", "b", "--end", "a"], "invalid_interval"),
        (["scan", "DATA", "--prefix", "b", "--end", "a"], "invalid_option"),
        (["set", "DATA", "a", "counter:x"], "invalid_encoding"),
        (["get", "redis://host", "a"], "invalid_url"),
        (["get", "", "a"], "invalid_url"),
        (["get", "DATA/absent", "a"], "invalid_url"),
    ],
)
def test_bad_input(data: Path, words: list[str], code: str) -> None:
    """Each kind of bad input is one line, a stable code and exit code 2."""
    words = [word.replace("DATA", str(data)) for word in words]
    told = failure(*words)
    assert (told["error"], told["exit"]) == (code, 2)
    result = run(*words)
    assert result.stderr.startswith(f"{code}: ")
    assert result.stderr.count("\n") == 1


def test_what_is_no_database(tmp_path: Path) -> None:
    """A stranger's directory and a file are foreign, and are left as they are."""
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / "file").write_text("mine")
    for place in (tmp_path / "stranger", tmp_path / "stranger" / "file"):
        for words in (["get", place, "a"], ["set", place, "a", "b"]):
            assert failure(*words)["error"] == "foreign_store"
    assert [path.name for path in (tmp_path / "stranger").iterdir()] == ["file"]


def test_wrong_usage(data: Path) -> None:
    """What the command line itself cannot mean is exit code 2 and shows how it is written."""
    for words in (["get"], ["get", data], ["nothing"], ["scan", data, "--limit", "0"]):
        result = run(*words)
        assert result.exit_code == 2
        assert "Usage:" in result.stderr


def test_memory(tmp_path: Path) -> None:
    """A memory database is empty each time, and works."""
    assert run("scan", "memory:").stdout == ""
    assert run("set", "memory:", "a", "b").exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_scan_that_finds_only_records_says_where_they_are(tmp_path: Path) -> None:
    """An empty answer must not look like an empty database; programs get nothing extra."""

    class Noted(Entity, key="id"):
        """A kind of records."""

        id: str

    with fastness.open(f"file:{tmp_path / 'db'}", schema=[Noted]) as db:
        db.run(lambda tx: tx.insert(Noted(id="one")))
    found = run("scan", tmp_path / "db")
    assert (found.exit_code, found.stdout) == (0, "")
    assert found.stderr == "no such plain keys; records (Noted) are listed by 'fastness shell'\n"
    assert run("scan", tmp_path / "db", "--json").output == ""
