"""Kills a loading process part-way, opens what it left behind, and asks for every promise.

A process with the database open (`victim`) loads entries and tells through a pipe what was
acknowledged. After a random number of acknowledgements it gets SIGKILL, which it can neither
catch nor finish anything after. What was acknowledged must then be there, field by field;
of the one transaction under way either everything or nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import fastness
from examples.files import service
from examples.files.demo.promises import Listener, Told
from examples.files.schema import ROOT, SCHEMA, Entry, SpaceId
from fastness import Transaction
from fastness.invariants import present

COMMITS_BEFORE_DEATH = (3, 60)
MERCY_S_MAX = 0.02
"""The blow falls up to so many seconds after an acknowledgement: anywhere in a later commit."""

PROBLEMS_MAX = 5


class VictimFailed(Exception):
    """The loading process did not live until it was killed."""


@dataclass(slots=True)
class Killed:
    """One killed process and what was found after it."""

    commits: int = 0
    entries: int = 0
    """Acknowledged before the kill."""
    in_flight_stored: bool = False
    """Whether the transaction under way was stored, wholly, before it was acknowledged."""
    reopened_s: float = 0.0
    problems: list[str] = field(default_factory=list)


def kill_loading(url: str, tree: bytes, space: SpaceId, *, number: int, random: Random) -> Killed:
    """Start a process that loads `tree`, kill it, and check. The database must be closed."""
    with fastness.open(url, schema=SCHEMA) as db:
        folder = service.create_folder(db, space, ROOT, f"load killed, {number}")
    told = _run_and_kill(url, tree, folder, random)
    killed = Killed(commits=told.commits, entries=len(told.acknowledged))
    began = time.perf_counter()
    with fastness.open(url, schema=SCHEMA) as db:
        killed.reopened_s = time.perf_counter() - began
        with db.transaction(read_only=True) as tx:
            problems = [*broken_promises(tx, told), *half_done(tx, space, told)]
            killed.in_flight_stored = stored_in_flight(tx, space, told) > 0
    killed.problems = problems[:PROBLEMS_MAX]
    return killed


def _run_and_kill(url: str, tree: bytes, folder: Entry, random: Random) -> Told:
    """What a process said that loaded into `folder` until it was killed."""
    after_commits = random.randint(*COMMITS_BEFORE_DEATH)
    arguments = [url, os.fsdecode(tree), str(folder.space), str(folder.id)]
    process = subprocess.Popen(  # noqa: S603 - our own module, arguments passed as they are
        [sys.executable, "-m", "examples.files.demo.victim", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C is for the demo, which ends its children itself.
    )
    with process:
        try:
            listener = Listener(present(process.stdout, "stdout=PIPE gives a pipe"))
            alive = True
            while alive and not listener.loaded and listener.commits < after_commits:
                alive = listener.hear()
            time.sleep(random.uniform(0, MERCY_S_MAX))
            process.kill()
            while alive:
                alive = listener.hear()
        finally:
            process.kill()
    if process.returncode != -signal.SIGKILL:
        raise VictimFailed(
            f"the loading process ended by itself with status {process.returncode} after "
            f"{listener.commits} commits; it says why above"
        )
    return listener.told()


def broken_promises(tx: Transaction, told: Told) -> Iterator[str]:
    """Acknowledged entries that are missing or different."""
    for entry in told.acknowledged:
        found = tx.fetch(Entry, entry.space, entry.id)
        if found != entry:
            yield f"acknowledged {entry!r}, stored {found!r}"


def half_done(tx: Transaction, space: SpaceId, told: Told) -> Iterator[str]:
    """The transaction under way, if only a part of it is there."""
    stored = stored_in_flight(tx, space, told)
    if 0 < stored < len(told.in_flight):
        yield f"{stored} of the {len(told.in_flight)} entries of one transaction are stored"


def stored_in_flight(tx: Transaction, space: SpaceId, told: Told) -> int:
    """How many entries of the transaction under way are stored."""
    found = tx.fetch_many(Entry, [(space, entry) for entry in told.in_flight])
    return sum(entry is not None for entry in found)
