"""The folder of a cluster: whose it is, what is in it, and how far its making has come."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from fastness.errors import DirectoryHeld, ForeignStore, InvalidOption
from fastness.laptop import plan as plans
from fastness.laptop.etcd import etcd_version
from fastness.laptop.plan import Plan, Secrets, Size
from fastness.laptop.programs import (
    POSTGRESQL_MAJOR_MIN,
    postgresql_major,
    postgresql_programs,
)

SUPERVISOR = "SUPERVISOR"


class Folder:
    """See `plan.py` for the files in it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None

    @cached_property
    def programs(self) -> Path:
        """The folder of PostgreSQL's programs."""
        return postgresql_programs(POSTGRESQL_MAJOR_MIN)

    def plan(self, size_of: Callable[[Size], Size], host_of: Callable[[str], str]) -> Plan:
        """The plan in it, or a new one; written down with the size made of the one it has.

        `ForeignStore` if the folder is of something else, or its data of another version.
        """
        there = self.planned()
        major, series = postgresql_major(self.programs), _series(etcd_version())
        if there is None:
            found = plans.new_plan(
                size_of(plans.DEFAULT), postgresql_major=major, etcd_series=series, host_of=host_of
            )
        else:
            self._require("PostgreSQL", str(there.postgresql_major), str(major))
            self._require("etcd", there.etcd_series, series)
            found = plans.grown(there, size_of(there.size), host_of)
        if found != there:
            plans.write_plan(self.path, found)
        return found

    def planned(self) -> Plan | None:
        """The plan in it, `None` if there is none."""
        return plans.read_plan(self.path)

    def _require(self, what: str, written: str, here: str) -> None:
        if written != here:
            raise ForeignStore(
                f"the data in {self.path} is of {what} {written}, and {here} would run: "
                f"put {what} {written} on the PATH, or name another --folder"
            )

    def secrets(self, plan: Plan) -> Secrets:
        """Its passwords."""
        return plans.secrets_of(self.path, plan)

    def require_free(self, plan: Plan) -> None:
        """`AddressUnavailable` if somebody else has a port of the plan."""
        plans.require_free(plan.seats())

    def make(self) -> None:
        """Have it, if it is not there; `ForeignStore` for one of something else, left as it is."""
        self.planned()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidOption(
                f"the folder {self.path} cannot be made ({error.strerror}): name another --folder"
            ) from error

    def lock(self) -> None:
        """Be its supervisor; `DirectoryHeld` names the process that is it already."""
        self.make()
        file = os.open(self.path / SUPERVISOR, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise DirectoryHeld(
                f"process {self.supervisor()} runs the cluster in {self.path}: stop it with "
                f"'fastness cluster down --folder {self.path}'"
            ) from None
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._lock = file

    def unlock(self) -> None:
        """Be its supervisor no more. Idempotent."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def supervisor(self) -> int:
        """The process that runs it, 0 if none does."""
        try:
            file = os.open(self.path / SUPERVISOR, os.O_RDWR)
        except (FileNotFoundError, NotADirectoryError):
            return 0
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(os.read(file, 32) or b"0")
        finally:
            os.close(file)
        return 0

    def undo_unfinished(self, plan: Plan) -> list[str]:
        """Remove what an interrupted `up` left of servers that were never whole.

        The answer is the stores that have no other, so that Patroni's keys must go too. If no
        server ever was whole, then nobody was told of a cluster, and etcd begins anew.
        """
        ready = set(self._ready())
        unfinished = []
        for at, sides in enumerate(plan.stores):
            self._remove(*(seat.name for seat in sides if seat.name not in ready))
            if not any(seat.name in ready for seat in sides):
                unfinished.append(plans.store_name(at))
        if not ready:
            self._remove(*(seat.name for seat in plan.etcd))
        return unfinished

    def finished(self, servers: Iterable[str]) -> None:
        """Note that these are whole: from now on nothing of them is ever removed."""
        ready = dict.fromkeys([*self._ready(), *servers])
        new = self.path / f"{plans.READY}.new"
        new.write_text("".join(f"{one}\n" for one in ready), encoding="utf-8")
        new.replace(self.path / plans.READY)

    def _ready(self) -> list[str]:
        try:
            return (self.path / plans.READY).read_text("utf-8").split()
        except FileNotFoundError:
            return []

    def _remove(self, *members: str) -> None:
        for name in members:
            for part in ("data", "member"):
                shutil.rmtree(self.path / name / part, ignore_errors=True)


def _series(version: str) -> str:
    return ".".join(version.split(".")[:2])
