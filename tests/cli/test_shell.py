"""The shell: statements from a script, answers, errors, completion, and a real prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from uuid import UUID

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

import fastness
from fastness.cli.output import Output
from fastness.cli.shell.command import converse
from fastness.cli.shell.completion import proposals
from fastness.cli.shell.session import Session
from fastness.cli.shell.words import words
from fastness.errors import InvalidEncoding
from fastness.model import Entity, Index, desc
from tests.cli.commands import run
from tests.operations.records import Employee


def script(directory: Path, *lines: str) -> list[str]:
    """Run lines as a script that must succeed; the lines it prints."""
    result = run("shell", directory, stdin="\n".join(lines))
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", []),
        ("  get   a ", ["get", "a"]),
        ('set ("a", 1) "b c"', ["set", '("a", 1)', '"b c"']),
        ("set name O'Brien", ["set", "name", "O'Brien"]),
        ("set 'a b' x", ["set", "'a b'", "x"]),
        ('put K {"a": [1, {"b": "} ]"}]}', ["put", "K", '{"a": [1, {"b": "} ]"}]}']),
        ('get "a \\" b"', ["get", '"a \\" b"']),
        ("get a)b", ["get", "a)b"]),
    ],
)
def test_words(line: str, found: list[str]) -> None:
    """Lines are cut at spaces outside of quotes and brackets."""
    assert words(line) == found


@pytest.mark.parametrize("line", ['get "a', "get (1", 'put K {"a": "b}', "get 'x\\"])
def test_open_words(line: str) -> None:
    """A quote or a bracket left open is an error that shows it."""
    with pytest.raises(InvalidEncoding, match="lacks its"):
        words(line)


def test_keys(data: Path) -> None:
    """Keys are read and written in the notation of the commands."""
    printed = script(
        data, "# a comment", "", 'set ("users", 43) "two words"', "get greeting",
        'scan ("users",)', 'delete greeting ("users", 42)', "scan",
    )  # fmt: skip
    assert printed == [
        "hello",
        '("users", 42)\t{"name": "Ann"}',
        '("users", 43)\ttwo words',
        '("users", 43)\ttwo words',
        "binary\thex:00ff",
        'lines\t"one\\ntwo"',
    ]


def test_reading_records(data: Path) -> None:
    """Records of any application are read by key and by index, without its classes."""
    printed = script(
        data, "kinds", "fetch Employee 7", 'query Employee.by_team "team 1" "name 3"',
        "query Employee.by_name limit", "limit 1", "list Employee",
        'count Employee.by_team "team 0"', 'total Employee.cost "team 1"',
    )  # fmt: skip
    assert printed == [
        "Employee (id): by_name, by_team, in_team, cost",
        '{"id":7,"name":"name 7","team":"team 1","salary":7}',
        '{"id":3,"name":"name 3","team":"team 1","salary":3}',
        '{"id":0,"name":"name 0","team":"team 0","salary":0}',
        "... there is more: 'limit 1000' shows more",
        "5",
        "25",
    ]
    assert script(data, "describe Employee")[1:] == [
        "  id: int",
        "  name: str",
        "  team: str",
        "  salary: int",
        "  index by_name (name) unique",
        "  index by_team (team, name) clustered",
        "  total in_team: count by (team)",
        "  total cost: sum of salary by (team)",
    ]
    assert "100 lookups" not in script(data, "explain Employee.by_team")[0]


def test_writing_records(data: Path) -> None:
    """Records written in the shell keep indexes and totals, as the application's check shows."""
    script(
        data,
        'insert Employee {"id": 100, "name": "Ann O\'Hara", "team": "team 0"}',
        'put Employee {"id": 7, "name": "renamed", "team": "team 0", "salary": 70}',
        'patch Employee 8 {"salary": 80}',
        "remove Employee 9",
    )
    url = f"file:{data}"
    with fastness.open(url, schema=[Employee]) as database, database.transaction() as tx:
        assert tx.require(Employee, 100).name == "Ann O'Hara"
        assert tx.fetch_by(Employee.by_name, "renamed") == tx.fetch(Employee, 7)
        assert tx.fetch(Employee, 9) is None
        assert tx.total(Employee.cost, "team 0") == 0 + 2 + 4 + 6 + 80 + 70
    assert run("check", data).exit_code == 0


class Colour(Enum):
    """A field that is an enum."""

    RED = "red"
    BLUE = "blue"


class Everything(Entity, key=("id", "day")):
    """A kind with a key column of every type."""

    id: UUID
    day: date
    moment: datetime
    colour: Colour | None = None
    raw: bytes = b""
    weight: float = 0.0
    flag: bool = False
    by_colour = Index("colour", desc("moment"))
    by_raw = Index("raw", "weight", "flag")


def test_values_of_every_type(data: Path) -> None:
    """Columns of every type are written as the manual says and found again."""
    record = Everything(
        id=UUID(int=7), day=date(2026, 5, 1), moment=datetime(2026, 5, 1, 12, tzinfo=UTC),
        colour=Colour.RED, raw=b"\xff", weight=1.5, flag=True,
    )  # fmt: skip
    with fastness.open(f"file:{data}", schema=[Everything]) as database:
        database.run(lambda tx: tx.insert(record))
        database.run(lambda tx: tx.insert(Everything(
            id=UUID(int=8), day=date(2026, 5, 1), moment=record.moment
        )))  # fmt: skip
    first = "00000000-0000-0000-0000-000000000007"
    printed = script(
        data, f"fetch Everything {first} 2026-05-01",
        "query Everything.by_colour red 2026-05-01T12:00:00Z",
        "query Everything.by_raw hex:ff 1.5 true", "count Everything.by_colour null",
    )  # fmt: skip
    assert printed[0] == printed[1] == printed[2]
    assert json.loads(printed[0]) == {
        "id": first, "day": "2026-05-01", "moment": "2026-05-01T12:00:00Z", "colour": "red",
        "raw": "/w==", "weight": 1.5, "flag": True,
    }  # fmt: skip
    assert printed[3] == "1"


@pytest.mark.parametrize(
    ("line", "code", "exit_code"),
    [
        ("bogus", "invalid_option", 2),
        ("get", "invalid_option", 2),
        ("get a b", "invalid_option", 2),
        ("get never", "record_not_found", 5),
        ("limit many", "invalid_option", 2),
        ("limit 0", "invalid_option", 2),
        ("at yesterday", "invalid_timestamp", 2),
        ("at 9223372036854775807", "invalid_timestamp", 2),
        ("fetch Nobody 1", "schema", 2),
        ("fetch Employee one", "invalid_key", 2),
        ("fetch Employee 1 2", "invalid_option", 2),
        ("fetch Employee 1000", "record_not_found", 5),
        ("query Employee.by_nothing", "schema", 2),
        ("total Employee.by_name", "schema", 2),
        ("insert Employee {}", "invalid_value", 2),
        ("insert Employee {bad}", "invalid_value", 2),
        ('insert Employee {"id": 1, "name": "x", "team": "y"}', "record_exists", 5),
        ('put Employee {"id": 1, "name": "name 2", "team": "y"}', "unique_violation", 5),
        ('patch Employee 1 {"salary": "much"}', "invalid_value", 2),
        ('patch Employee 1 {"wage": 1}', "invalid_value", 2),
        ('patch Employee 1 {"id": 2}', "invalid_value", 2),
        ("patch Employee 1 [1]", "invalid_value", 2),
        ("remove Employee 1000", "record_not_found", 5),
        ('get "open', "invalid_encoding", 2),
    ],
)
def test_errors_end_a_script(data: Path, line: str, code: str, exit_code: int) -> None:
    """A script stops at its first error, which names the line; what came before is done."""
    result = run("shell", data, stdin=f"set before yes\n{line}\nset after yes\n")
    assert result.exit_code == exit_code
    assert result.stderr.startswith(f"{code}: line 2: ")
    assert run("get", data, "before").exit_code == 0
    assert run("get", data, "after").exit_code == 1


def test_json(data: Path) -> None:
    """With --json every answer is an object on a line of its own."""
    result = run(
        "shell", data, "--json", "-e", "limit 1", "-e", "scan", "-e", "list Employee",
        "-e", "count Employee.by_key", "-e", "kinds",
    )  # fmt: skip
    assert result.exit_code == 0
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert found[:4] == [
        {"key": '("users", 42)', "value": '{"name": "Ann"}'},
        {"more": True},
        {"id": 0, "name": "name 0", "team": "team 0", "salary": 0},
        {"more": True},
    ]
    assert found[4] == {"count": 10}
    assert found[5]["kind"] == "Employee"


def test_the_past(data: Path) -> None:
    """'at' reads the past until 'at now', and refuses writes meanwhile."""
    with fastness.open(f"file:{data}") as database:
        before = database.now()
        database.set(b"greeting", b"changed")
    printed = script(data, f"at {before}", "get greeting", "at now", "get greeting")
    assert printed == ["hello", "changed"]
    result = run("shell", data, "-e", f"at {before}", "-e", "set a b")
    assert "the past cannot be changed" in result.stderr


def test_reading_beside_a_holder(data: Path) -> None:
    """Beside a holder the shell reads what is committed meanwhile, and refuses to write."""
    with fastness.open(f"file:{data}") as holder, Session(str(data), _silent()) as session:
        assert session.is_read_only
        holder.set(b"greeting", b"newer")
        with session.database() as seen:
            assert seen.get(b"greeting") == b"newer"
        result = run("shell", data, stdin="get greeting\nset a b\n")
        assert result.stdout == "newer\n"
        assert result.exit_code == 3
        assert "this session only reads: " in result.stderr
        assert "already open in this process" in result.stderr


def test_read_only(data: Path) -> None:
    """--read-only leaves the directory free for others."""
    with Session(str(data), _silent(), read_only=True), fastness.open(f"file:{data}") as other:
        other.set(b"a", b"b")
    assert run("shell", data, "--read-only", "-e", "set a c").exit_code == 3
    assert run("get", data, "a").stdout == "b\n"


def test_help_lists_everything(data: Path) -> None:
    """'help' names every statement and setting with its arguments."""
    printed = "\n".join(script(data, "help"))
    for text in ("get KEY", "query KIND.INDEX [VALUE...]", "patch KIND KEY... {JSON}", "at MOMENT"):
        assert text in printed


def _silent() -> Output:
    return Output(as_json=True)


@pytest.mark.parametrize(
    ("line", "proposed"),
    [
        ("", {"get", "set", "fetch", "help", "exit"}),
        ("fe", {"fetch"}),
        ("fetch ", {"Employee"}),
        ("query Employee.by_t", {"Employee.by_team"}),
        ("total ", {"Employee.in_team", "Employee.cost"}),
        ("get gr", {"greeting"}),
        ('get ("us', {'("users", 42)'}),
        ("delete greeting li", {"lines"}),
        ("fetch Employee ", set()),
        ("bogus ", set()),
    ],
)
def test_completion(data: Path, line: str, proposed: set[str]) -> None:
    """Statements, kinds, indexes and keys are proposed where they may stand."""
    with Session(str(data), _silent()) as session:
        found = set(proposals(session, line))
        assert proposed <= found
        assert bool(found) == bool(proposed)


@pytest.fixture
def keyboard() -> Iterator[PipeInput]:
    """Keys typed into a prompt that is really running, without a screen."""
    with create_pipe_input() as typed, create_app_session(input=typed, output=DummyOutput()):
        yield typed


def test_a_conversation(
    data: Path,
    keyboard: PipeInput,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Errors and Ctrl-C do not end a conversation, Tab completes, Ctrl-D leaves, lines are kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(data.parent / "state"))
    keyboard.send_text("bogus\nabandoned\x03get gree\t\nset said yes\n\x04")
    with Session(str(data), Output(as_json=False)) as session:
        converse(session, Output(as_json=False))
    told = capsys.readouterr()
    assert told.out == "hello\n"
    assert "invalid_option: there is no statement 'bogus'" in told.err
    assert run("get", data, "said").stdout == "yes\n"
    history = data.parent / "state" / "fastness" / "shell-history"
    assert "+get greeting" in history.read_text().splitlines()
    assert history.stat().st_mode & 0o077 == 0
