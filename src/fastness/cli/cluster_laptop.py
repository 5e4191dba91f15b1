"""The commands `cluster up` and `cluster down`: a real cluster on this machine, in one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, NamedTuple, NoReturn

import msgspec
import typer

from fastness.cli import figures
from fastness.cli.arguments import JsonOption
from fastness.cli.output import Output, answering
from fastness.errors import DeadlineExceeded, FastnessError, InvalidOption, Unreachable
from fastness.laptop import processes
from fastness.laptop.cluster import LaptopCluster
from fastness.laptop.folder import Folder
from fastness.laptop.plan import DEFAULT, MOST, Size
from fastness.laptop.programs import importable
from fastness.laptop.survey import MemberState, survey
from fastness.wire.messages import Refusal
from fastness.wire.refusals import error_of

TEND_S = 0.5
"""How often a supervisor looks whether everything lives."""
UP_S, DOWN_S = 300.0, 120.0
POLL_S = 0.2
SHOWN_BYTES = 4_000


class Wanted(NamedTuple):
    """The parts of a `Size`, as far as somebody named them."""

    nodes: int | None
    stores: int | None
    standbys: int | None


FolderOption = Annotated[
    Path, typer.Option(metavar="DIRECTORY", help="Where the cluster is: data, logs, passwords.")
]


def up(
    *,
    folder: FolderOption = Path("cluster-data"),
    nodes: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MOST.nodes,
            help=f"How many nodes ({DEFAULT.nodes}). More than before: the cluster grows.",
            show_default=False,
        ),
    ] = None,
    stores: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST.stores,
            help=f"How many stores ({DEFAULT.stores}): clusters of PostgreSQL.",
            show_default=False,
        ),
    ] = None,
    standbys: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST.standbys,
            help=f"How many standbys a store has ({DEFAULT.standbys}); with 2, commits go on "
            "right after a failover.",
            show_default=False,
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once it is up, and leave it running.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Start a real cluster on this machine, and keep it running until Ctrl-C.

    Three members of etcd, stores of PostgreSQL under Patroni, and nodes, as processes on free
    ports of 127.0.0.1, everything in one folder. Members that die are started again. The same
    command on the same folder goes on with what is there, also after an interruption; beside a
    cluster that runs it shows how that is. To try things and to test, not for production: see
    docs/CLUSTER.md.
    """
    with answering(json, interrupted="interrupted: everything was stopped") as output:
        where = Folder(folder)
        wanted = Wanted(nodes, stores, standbys)
        if where.supervisor():
            _refuse_change(where, wanted)
            _show(output, where)
        elif detach:
            _detach(output, where, wanted)
        else:
            _supervise(output, where, wanted)


def down(*, folder: FolderOption = Path("cluster-data"), json: JsonOption = False) -> None:
    """Stop the cluster of a folder; 'cluster up' on the folder starts it again.

    Also ends what is left of one whose supervisor was killed.
    """
    with answering(json) as output:
        where = Folder(folder)
        plan = where.planned()
        if plan is None:
            raise InvalidOption(f"{where.path} holds no cluster: name its folder with --folder")
        supervisor = where.supervisor()
        if supervisor:
            os.kill(supervisor, signal.SIGTERM)
            _await_end(where)
        left = processes.end_all(plan.id, where.path)
        if json:
            output.document(
                {"folder": str(where.path), "was_running": bool(supervisor), "killed": left}
            )
        elif supervisor:
            output.remark(f"stopped; 'rm -r {where.path}' removes it")
        else:
            output.remark(f"nobody ran it; {left} processes that were left were killed")


def _supervise(output: Output, where: Folder, wanted: Wanted) -> None:
    """Run the cluster in this process."""
    with _ending_on_signals():
        begun = time.monotonic()
        saying = output.remark
        with LaptopCluster.up(
            where.path,
            nodes=wanted.nodes,
            stores=wanted.stores,
            standbys=wanted.standbys,
            saying=saying,
        ) as cluster:
            try:
                saying(f"up after {time.monotonic() - begun:.1f} s")
                _report(output, cluster)
                saying("Ctrl-C stops everything")
                sys.stdout.flush()
                while True:
                    time.sleep(TEND_S)
                    for name in cluster.tend():
                        saying(f"{name} had ended, and was started again", "yellow")
            except KeyboardInterrupt:
                saying("stopping; again to kill")


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """SIGTERM, and a terminal that is closed, end it as Ctrl-C does."""
    before = {one: signal.signal(one, _interrupt) for one in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _detach(output: Output, where: Folder, wanted: Wanted) -> None:
    """Run the cluster in a process of its own, and return once it is whole."""
    where.make()
    log = where.path / "supervisor.log"
    words = ["--folder", str(where.path), "--json"]
    for name, value in wanted._asdict().items():
        words += [f"--{name}", str(value)] if value is not None else []
    with log.open("wb") as said:
        supervisor = subprocess.Popen(  # noqa: S603 - this very command
            [sys.executable, "-m", "fastness.cli", "cluster", "up", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, **importable()},
            start_new_session=True,
        )
    try:
        _await_announcement(supervisor, log)
    except BaseException:
        supervisor.terminate()
        supervisor.wait(DOWN_S)
        raise
    _show(output, where)


class _Failure(msgspec.Struct, frozen=True):
    """What a supervisor says when it gives up."""

    error: str
    message: str


def _await_announcement(supervisor: subprocess.Popen[bytes], log: Path) -> None:
    """Return once a supervisor has said that its cluster is up."""
    give_up = time.monotonic() + UP_S
    while not log.read_bytes().endswith(b"}\n") or supervisor.poll() is not None:
        if supervisor.poll() is not None:
            raise _failure(log.read_bytes())
        if time.monotonic() > give_up:
            raise DeadlineExceeded(
                f"the cluster was not up after {UP_S:.0f} s, and is stopped: see {log}"
            )
        time.sleep(POLL_S)


def _failure(said: bytes) -> FastnessError:
    """The error that a supervisor ended with."""
    try:
        told = msgspec.json.decode(said.splitlines()[-1], type=_Failure)
    except (msgspec.DecodeError, IndexError):
        end = said[-SHOWN_BYTES:].decode("utf-8", "replace")
        return Unreachable(f"the cluster did not come up: {end}")
    return error_of(Refusal(code=told.error, message=told.message))


def _await_end(where: Folder) -> None:
    give_up = time.monotonic() + DOWN_S
    while where.supervisor():
        if time.monotonic() > give_up:
            raise DeadlineExceeded(
                f"process {where.supervisor()} has not stopped the cluster in {DOWN_S:.0f} s: kill "
                "it with 'kill -9', and everything ends with it"
            )
        time.sleep(POLL_S)


def _refuse_change(where: Folder, wanted: Wanted) -> None:
    plan = where.planned()
    size = plan.size if plan is not None else Size(0, 0, 0)
    for (what, number), there in zip(wanted._asdict().items(), size, strict=True):
        if number is not None and number != there:
            raise InvalidOption(
                f"--{what} {number}: process {where.supervisor()} runs the cluster with {there} "
                f"now: stop it with 'fastness cluster down --folder {where.path}' first"
            )


def _show(output: Output, where: Folder) -> None:
    cluster = LaptopCluster.seen(where.path)
    if cluster is not None:
        _report(output, cluster)


def _report(output: Output, cluster: LaptopCluster) -> None:
    """The state of every member, and how to reach the cluster."""
    members = survey(cluster)
    if output.as_json:
        output.document(
            {
                "folder": str(cluster.folder),
                "supervisor": Folder(cluster.folder).supervisor(),
                "url": cluster.url,
                "coordinator": cluster.coordinator,
                "members": msgspec.to_builtins(members),
            }
        )
        return
    output.table(
        ("member", "role", "state", "clients", "looked after at", ">pid", ">memory", "folder"),
        map(_row, members),
    )
    output.facts(
        [
            ("folder", f"{cluster.folder} (each member's log is in its folder)"),
            ("etcd", cluster.coordinator),
            *((f"{name}", _without_password(store.dsn)) for name, store in cluster.stores.items()),
            *((("connect", f'fastness.open("{cluster.url}")'),) if cluster.nodes else ()),
        ]
    )


def _row(member: MemberState) -> tuple[str, ...]:
    return (
        member.name,
        member.role,
        member.state,
        member.address,
        member.looked_after_at,
        str(member.pids[0]) if member.pids else "",
        figures.size(member.memory_bytes),
        Path(member.folder).name,
    )


def _without_password(dsn: str) -> str:
    scheme, _, rest = dsn.partition("://")
    user, _, where = rest.partition("@")
    return f"{scheme}://{user.partition(':')[0]}@{where} (password: secrets.json)"
