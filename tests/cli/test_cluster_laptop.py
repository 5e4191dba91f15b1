"""`fastness cluster up` and `down`: in the foreground, detached, beside one that runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastness.laptop import processes
from fastness.laptop.folder import Folder
from fastness.laptop.plan import PLAN, Plan
from fastness.testing.kit.serving import command, environment
from tests.cli.commands import answer, failure, run

SMALL = ("--nodes", "0", "--stores", "1")


def planned(folder: Path) -> Plan:
    """What a folder holds."""
    plan = Folder(folder).planned()
    assert plan is not None
    return plan


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for a cluster; whatever a test leaves running is ended."""
    folder = tmp_path / "cluster"
    yield folder
    if (folder / PLAN).exists():
        plan = planned(folder)
        supervisor = Folder(folder).supervisor()
        if supervisor:
            os.kill(supervisor, signal.SIGKILL)
        processes.end_all(plan.id, folder)


def detached(folder: Path) -> dict[str, Any]:
    """Start a cluster that goes on when the command has ended, a real process."""
    words = command("cluster", "up", "--folder", folder, *SMALL, "--detach", "--json")
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, env=environment())
    up: dict[str, Any] = json.loads(done.stdout)
    return up


@pytest.mark.process
@pytest.mark.timeout(400)
def test_a_detached_cluster_is_seen_and_stopped_by_others(folder: Path) -> None:
    """The same command shows it, asks for nothing else, and `down` leaves no process."""
    up = detached(folder)
    assert {one["state"] for one in up["members"]} == {"ready"}
    assert [one["name"] for one in up["members"]][-2:] == ["store-1-a", "store-1-b"]
    assert answer("cluster", "up", "--folder", folder)["supervisor"] == up["supervisor"]
    table = run("cluster", "up", "--folder", folder)
    assert "store-1-a\t" in table.stdout
    assert "password: secrets.json" in table.stdout
    secrets = json.loads((folder / "secrets.json").read_text())["stores"]["store-1"]
    assert not any(secret in table.stdout for secret in secrets.values())
    refused = failure("cluster", "up", "--folder", folder, "--nodes", "2")
    assert refused["exit"] == 2
    assert "runs the cluster with 0 now: stop it with" in refused["message"]
    assert answer("cluster", "down", "--folder", folder) == {
        "folder": str(folder.resolve()),
        "was_running": True,
        "killed": 0,
    }
    assert processes.marked(planned(folder).id, folder) == set()
    assert answer("cluster", "down", "--folder", folder)["was_running"] is False


@pytest.mark.process
@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_cluster_in_the_foreground_ends_when_told(folder: Path, how: signal.Signals) -> None:
    """Ctrl-C, or SIGTERM: exit code 0, and no process is left."""
    with subprocess.Popen(
        command("cluster", "up", "--folder", folder, *SMALL, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as supervisor:
        assert supervisor.stdout is not None
        up = json.loads(supervisor.stdout.readline())
        assert up["supervisor"] == supervisor.pid
        supervisor.send_signal(how)
        _told, said = supervisor.communicate()
    assert supervisor.returncode == 0, said
    assert processes.marked(planned(folder).id, folder) == set()


@pytest.mark.process
@pytest.mark.timeout(400)
def test_an_interrupted_start_stops_everything(folder: Path) -> None:
    """Ctrl-C while PostgreSQL is being made: code 130, and no process is left."""
    with subprocess.Popen(
        command("cluster", "up", "--folder", folder, *SMALL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as supervisor:
        assert supervisor.stderr is not None
        while b"PostgreSQL" not in (line := supervisor.stderr.readline()):
            assert line
        supervisor.send_signal(signal.SIGINT)
        _told, said = supervisor.communicate()
    assert supervisor.returncode == 130
    assert b"interrupted: everything was stopped" in said
    assert processes.marked(planned(folder).id, folder) == set()


def test_a_detached_start_that_fails_says_why(folder: Path) -> None:
    """As the command itself would: the same code, and the message."""
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    for words in ((), ("--detach",)):
        refused = failure("cluster", "up", "--folder", folder, *words)
        assert (refused["exit"], refused["error"]) == (4, "foreign_store")
        assert "thesis.txt" in refused["message"]


def test_there_is_nothing_to_stop_in_another_folder(folder: Path) -> None:
    """The folder that was meant must be named."""
    refused = failure("cluster", "down", "--folder", folder)
    assert refused["exit"] == 2
    assert "holds no cluster: name its folder" in refused["message"]
