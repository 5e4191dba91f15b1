"""The commands around a server: tokens are made, shown and revoked, settings checked and shown."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fastness.server.token_file import read_tokens
from fastness.server.tokens import parse_credential
from tests.cli.commands import answer, failure, run
from tests.server.processes import serving


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """Where a token file may be."""
    return tmp_path / "tokens.json"


def test_a_token_is_shown_once(tokens: Path) -> None:
    """It goes to stdout alone, and proves the token that the file keeps."""
    made = run("token", "create", "billing", "--tokens", tokens)
    assert made.exit_code == 0
    credential = made.stdout.strip()
    assert "not shown again" in made.stderr
    parsed = parse_credential(credential)
    (kept,) = read_tokens(tokens)
    assert parsed is not None
    assert kept.proves(parsed.secret)
    shown = run("token", "list", "--tokens", tokens).stdout
    assert parsed.id in shown
    assert parsed.secret not in shown


def test_what_a_token_grants(tokens: Path) -> None:
    """Role, key space, expiry and limits are those asked for."""
    made = answer(
        *("token", "create", "tenant", "--tokens", tokens, "--role", "read-only"),
        *("--key-space", '("billing", 7)', "--expires-in", "90d", "--operations", 100),
        *("--bytes", 1_000_000, "--connections", 5, "--in-flight", 64),
    )
    assert made["role"] == "read-only"
    assert made["key_space"] == '("billing", 7)'
    assert made["state"] == "in force"
    assert made["expires"].endswith("Z")
    assert made["limits"] == {
        "operations_per_second": 100,
        "bytes_per_second": 1_000_000,
        "connections": 5,
        "in_flight": 64,
    }
    assert "100 operations/s, 1,000,000 bytes/s" in run("token", "list", "--tokens", tokens).stdout


def test_a_token_is_revoked(tokens: Path) -> None:
    """By its name, once."""
    run("token", "create", "billing", "--tokens", tokens)
    assert answer("token", "revoke", "billing", "--tokens", tokens)["state"] == "revoked"
    told = failure("token", "revoke", "billing", "--tokens", tokens)
    assert (told["error"], told["exit"]) == ("invalid_option", 2)
    (listed,) = answer("token", "list", "--tokens", tokens)["tokens"]
    assert listed["state"] == "revoked"


def test_tokens_that_will_not_do(tokens: Path) -> None:
    """Roles, names, durations and files that are none say so."""
    for words in (
        ("create", "billing", "--role", "king"),
        ("create", "two words"),
        ("create", "billing", "--expires-in", "soon"),
        ("create", "billing", "--key-space", "hex:xyz"),
        ("list",),
    ):
        assert failure("token", *words, "--tokens", tokens)["exit"] == 2
    assert not tokens.exists()


def test_a_file_of_settings_is_checked(tmp_path: Path) -> None:
    """Every mistake is a line with its place; without any the answer is ok."""
    path = tmp_path / "fastness.toml"
    path.write_text('listen = ["127.0.0.1:1"]\n[log]\nslow_ms = 5\n')
    assert run("config", "check", path).stdout == f"ok: {path}\n"
    path.write_text('listen = 1\n[log]\nslow = 5\nlevel = "loud"\n')
    checked = run("config", "check", path)
    assert checked.exit_code == 2
    lines = checked.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{path}:{at}" for at in (1, 3, 4)]
    told = run("config", "check", path, "--json")
    assert told.exit_code == 2
    assert len(lines) == told.stdout.count(str(path)) == 3


def test_settings_are_shown_with_their_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Value and source of each; a secret's value is not shown."""
    path = tmp_path / "fastness.toml"
    path.write_text("[limits]\nlease_ms = 5000\n")
    monkeypatch.setenv("FASTNESS_LOG_LEVEL", "debug")
    monkeypatch.setenv("FASTNESS_TLS_KEY_PASSWORD", "swordfish")
    monkeypatch.setenv("FASTNESS_LISTENS", "x")
    monkeypatch.setenv("FASTNESS_TLS_CERTIFICATE", "c.pem")
    monkeypatch.setenv("FASTNESS_TLS_KEY", "k.pem")
    found = answer("config", "show", "--config", path)
    assert found["limits.lease_ms"]["value"] == 5000
    assert found["limits.lease_ms"]["source"] == f"{path}:2"
    assert found["log.level"] == {
        "value": "debug",
        "source": "FASTNESS_LOG_LEVEL",
        "variable": "FASTNESS_LOG_LEVEL",
        "reloaded": True,
    }
    assert found["listen"]["source"] == "default"
    shown = run("config", "show", "--config", path, "--changed")
    assert "swordfish" not in shown.output
    assert 'tls.key_password\t"(hidden)"\tFASTNESS_TLS_KEY_PASSWORD\n' in shown.stdout
    assert "did you mean FASTNESS_LISTEN?" in shown.stderr
    assert "default" not in shown.stdout


@pytest.mark.process
def test_commands_go_through_a_server() -> None:
    """Keys are read and written behind a URL; what needs the directory says where to go."""
    with TemporaryDirectory() as folder, serving(Path(folder) / "log", served="memory:") as server:
        url = server.told["urls"][0]
        assert run("set", url, "greeting", "hello").exit_code == 0
        assert run("get", url, "greeting").stdout == "hello\n"
        assert run("scan", url).stdout == "greeting\thello\n"
        assert run("shell", url, "-e", "get greeting").stdout == "hello\n"
        assert "state\tready" in run("stat", url).stdout
        for words in (("check", url), ("backup", url, Path(folder) / "copy")):
            told = failure(*words)
            assert told["exit"] == 2
            assert url in told["message"]
        assert run("delete", url, "greeting").exit_code == 0
        assert run("get", url, "greeting").exit_code == 1
