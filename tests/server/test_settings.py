"""The configuration of a server: where values come from, and what errors say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from fastness.limits import Limits
from fastness.server.settings import SETTINGS, Settings, settings_of
from fastness.server.sources import InvalidConfiguration, load
from fastness.server.toml_lines import lines_of


def problems(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> list[str]:
    """What is wrong with a configuration."""
    with pytest.raises(InvalidConfiguration) as caught:
        load(path, environment or {}, flags or {})
    return caught.value.problems


def written(directory: Path, text: str) -> Path:
    """A file of this text."""
    path = directory / "fastness.toml"
    path.write_text(text)
    return path


def test_defaults() -> None:
    """Without any source every setting has its default, and says so."""
    found = load(None, {}, {})
    assert found.settings == Settings() == settings_of({})
    assert {one.source for one in found.sourced.values()} == {"default"}
    assert set(found.sourced) == set(SETTINGS)


def test_every_limit_is_a_setting() -> None:
    """All of Limits can be reached from every source."""
    names = {f"limits.{field.name}" for field in fields(Limits)}
    assert names == {name for name in SETTINGS if name.startswith("limits.")}
    found = load(None, {"FASTNESS_LIMITS_LEASE_MS": "1234"}, {})
    assert found.settings.limits.lease_ms == 1234


def test_names_in_the_environment_are_unique() -> None:
    """No two settings share a variable."""
    variables = {setting.variable for setting in SETTINGS.values()}
    assert len(variables) == len(SETTINGS)


def test_each_source_beats_the_one_before(tmp_path: Path) -> None:
    """Flags win over the environment, that over the file, that over defaults."""
    path = written(tmp_path, 'unix = "/file"\nadmin = "127.0.0.1:1"\n[log]\nslow_ms = 5\n')
    environment = {"FASTNESS_UNIX": "/environment", "FASTNESS_ADMIN": "127.0.0.1:2"}
    found = load(path, environment, {"unix": "/flag"})
    assert found.settings.unix == "/flag"
    assert found.settings.admin == "127.0.0.1:2"
    assert found.settings.log.slow_ms == 5
    assert found.sourced["unix"].source == "--unix"
    assert found.sourced["admin"].source == "FASTNESS_ADMIN"
    assert found.sourced["log.slow_ms"].source == f"{path}:4"
    assert found.sourced["log.level"].source == "default"


def test_the_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    """FASTNESS_CONFIG is the file where no flag names one."""
    path = written(tmp_path, "drain_ms = 7\n")
    assert load(None, {"FASTNESS_CONFIG": str(path)}, {}).settings.drain_ms == 7


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("FASTNESS_LISTEN", "127.0.0.1:1, [::1]:2", "listen", ("127.0.0.1:1", "[::1]:2")),
        ("FASTNESS_LISTEN", "", "listen", ()),
        ("FASTNESS_OPEN_TO_ANYONE", "Yes", "open_to_anyone", True),
        ("FASTNESS_OPEN_TO_ANYONE", "0", "open_to_anyone", False),
        ("FASTNESS_DRAIN_MS", "12", "drain_ms", 12),
    ],
)
def test_texts_of_the_environment(variable: str, text: str, name: str, value: object) -> None:
    """A variable's text is read as the kind of value its setting has."""
    found = load(None, {variable: text, "FASTNESS_UNIX": "socket"}, {})
    assert found.sourced[name].value == value


def test_everything_wrong_is_told_at_once_and_where(tmp_path: Path) -> None:
    """Each error names the file and line, the key, the value, and what to do."""
    path = written(
        tmp_path,
        'directry = "x"\nlisten = "127.0.0.1:1"\n\n[limits]\nlease_ms = "3s"\nkey_bytes = 0\n'
        'log = 1\n\n[log]\nlevel = "loud"\n',
    )
    told = problems(path, {"FASTNESS_DRAIN_MS": "soon"}, {"unix": 7})
    assert len(told) == 8
    assert told[0] == f"{path}:1: directry='x' is no setting: did you mean directory?"
    for line, words in (
        (2, ("listen='127.0.0.1:1'", "array")),
        (5, ("limits.lease_ms='3s'", "int", "the default is 3000")),
        (6, ("limits.key_bytes=0", ">= 1")),
        (7, ("limits.log=1", "no setting")),
        (10, ("log.level='loud'", '"info"')),
    ):
        (found,) = [one for one in told if one.startswith(f"{path}:{line}: ")]
        assert all(word in found for word in words)
    assert any(one.startswith("environment: FASTNESS_DRAIN_MS='soon'") for one in told)
    assert any(one.startswith("command line: --unix=7") for one in told)


def test_a_table_that_is_none(tmp_path: Path) -> None:
    """A value where a table belongs is told how to write one."""
    (told,) = problems(written(tmp_path, "limits = 3\n"))
    assert "write [limits] and its keys below" in told


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"listen = [", "is not TOML"), (b"\xff\xfe", "is not UTF-8")],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, word: str) -> None:
    """What is no TOML says so, with its name."""
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    (told,) = problems(path)
    assert told.startswith(f"{path}: ")
    assert word in told


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that is missing is named."""
    (told,) = problems(tmp_path / "absent.toml")
    assert "absent.toml: cannot be read (No such file or directory)" in told


def test_secrets_are_not_shown_in_errors() -> None:
    """A wrong value of a secret setting does not appear."""
    told = problems(flags={"tls.key_password": 12345})
    assert "12345" not in told[0]


def test_variables_misspelt() -> None:
    """A variable that is nearly a setting is pointed out; others are somebody else's."""
    environment = {
        "FASTNESS_LISTENS": "x",
        "FASTNESS_TOKEN": "not a setting, but ours",
        "FASTNESS_SERVICE_HOST": "10.0.0.1",
    }
    found = load(None, environment, {})
    assert found.unused == ("FASTNESS_LISTENS is no setting: did you mean FASTNESS_LISTEN?",)


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "db.example:1", "192.0.2.1:0"])
def test_strangers_need_tokens(address: str) -> None:
    """Listening beyond this machine takes a token file, or an explicit word."""
    (told,) = problems(flags={"listen": [address]})
    assert "anybody would have full access" in told
    assert address in told
    assert load(None, {}, {"listen": [address], "tokens": "t"}).settings.listen == (address,)
    assert load(None, {}, {"listen": [address], "open_to_anyone": True}).settings.open_to_anyone


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ({"listen": ["nowhere"]}, "nowhere"),
        ({"listen": ["127.0.0.1:70000"]}, "70000"),
        ({"admin": "127.0.0.1"}, "admin: "),
        ({"unix": "/" + "x" * 200}, "choose a shorter one"),
        ({"listen": [], "unix": ""}, "leave no way in"),
        ({"directory": ""}, "names no place"),
        ({"tls.certificate": "c.pem"}, "without tls.key"),
        ({"tls.key": "k.pem"}, "without tls.certificate"),
    ],
)
def test_rules_between_settings(flags: dict[str, object], word: str) -> None:
    """What does not go together is refused with the reason and the source."""
    (told,) = problems(flags=flags)
    assert word in told
    assert told.startswith(("--", "DIRECTORY: "))


def test_lines_of_keys() -> None:
    """Tables, dotted keys and comments do not confuse the lines."""
    text = '# a = 1\na = 1\n\n[ b . c ] # table\nd.e = 2\n  f = "[x]"\na = 3\n'
    assert lines_of(text) == {"a": 2, "b.c": 4, "b.c.d.e": 5, "b.c.f": 6, "b.c.a": 7}
