"""Where settings come from: defaults, then a TOML file, the environment, and flags, which win.

::

    defaults  <  FILE (TOML)  <  FASTNESS_* (environment)  <  --flags

Each value is checked alone, at the place it came from, so an error says where to go: the file
and line, the variable, or the flag; the value; what it should be. All that is wrong is told at
once. What concerns several settings together is checked last (`rules.py`).
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from fastness.errors import InvalidOption
from fastness.server.rules import broken_rules
from fastness.server.settings import SETTINGS, Setting, Settings, settings_of
from fastness.server.toml_lines import lines_of

CONFIG_VARIABLE = "FASTNESS_CONFIG"
"""Names the file where no flag does."""

OTHER_VARIABLES = frozenset(
    {CONFIG_VARIABLE, "FASTNESS_EXPENSIVE_CHECKS", "FASTNESS_TOKEN", "FASTNESS_URL"}
)
"""Variables of ours that are no settings of a server."""


FLAGS = {
    "directory": "DIRECTORY",
    "coordinator": "--coordinator",
    "stores": "--store",
    "name": "--name",
    "advertise": "--advertise",
    "listen": "--listen",
    "unix": "--unix",
    "admin": "--admin",
    "gateway": "--gateway",
    "tokens": "--tokens",
    "tls.certificate": "--tls-certificate",
    "tls.key": "--tls-key",
    "open_to_anyone": "--open-to-anyone",
}
"""How settings that have a flag of their own are given on the command line."""


class Sourced(msgspec.Struct, frozen=True):
    """A value and where it came from: `default`, `FILE:LINE`, `FASTNESS_X`, `--flag`."""

    value: Any
    source: str


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """Settings in force, and the way to each of them."""

    settings: Settings
    sourced: dict[str, Sourced]
    """Every setting by name, defaults included."""
    path: Path | None = None
    """The file, if there is one."""
    unused: tuple[str, ...] = ()
    """Variables that begin with FASTNESS_ and look like a setting misspelt."""


class InvalidConfiguration(InvalidOption):
    """Settings that are wrong; `problems` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def load(
    path: Path | None, environment: Mapping[str, str], flags: Mapping[str, object]
) -> Configuration:
    """The configuration of these sources; `flags` are settings by name, those that were given.

    Raises `InvalidConfiguration` with everything that is wrong.
    """
    problems: list[str] = []
    if path is None and environment.get(CONFIG_VARIABLE):
        path = Path(environment[CONFIG_VARIABLE])
    sourced = {name: Sourced(one.default, "default") for name, one in SETTINGS.items()}
    if path is not None:
        sourced.update(_from_file(path, problems))
    sourced.update(_from_environment(environment, problems))
    sourced.update(_from_flags(flags, problems))
    if problems:
        raise InvalidConfiguration(problems)
    settings = settings_of({name: one.value for name, one in sourced.items()})
    sources = {name: one.source for name, one in sourced.items()}
    if problems := list(broken_rules(settings, sources)):
        raise InvalidConfiguration(problems)
    return Configuration(
        settings=settings, sourced=sourced, path=path, unused=tuple(_misspelt(environment))
    )


# The file.


def _from_file(path: Path, problems: list[str]) -> Iterator[tuple[str, Sourced]]:
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        reason = error.strerror or str(error)
        problems.append(f"{path}: cannot be read ({reason}): name a TOML file that is there")
        return
    except UnicodeDecodeError as error:
        problems.append(f"{path}: is not UTF-8 ({error.reason} at byte {error.start}): convert it")
        return
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: is not TOML: {error}")
        return
    lines = lines_of(text)
    for name, value in _flat(document, ""):
        line = lines.get(name)
        place = f"{path}:{line}" if line else str(path)
        setting = SETTINGS.get(name)
        if setting is None:
            problems.append(_unknown(place, name, value))
        else:
            yield from _checked(setting, value, place, name, problems)


def _flat(table: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{prefix}{key}"
        is_table = any(one.startswith(f"{name}.") for one in SETTINGS)
        if isinstance(value, dict) and is_table:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _unknown(place: str, name: str, value: object) -> str:
    if any(one.startswith(f"{name}.") for one in SETTINGS):
        return f"{place}: {name}={value!r} should be a table: write [{name}] and its keys below"
    return f"{place}: {name}={value!r} is no setting: {meant_by(name)}"


def meant_by(name: str) -> str:
    """What to do about a name that no setting has."""
    near = difflib.get_close_matches(name, SETTINGS, n=1)
    return f"did you mean {near[0]}?" if near else "'fastness config show' lists every setting"


# The environment.


def _from_environment(
    environment: Mapping[str, str], problems: list[str]
) -> Iterator[tuple[str, Sourced]]:
    for setting in SETTINGS.values():
        text = environment.get(setting.variable)
        if text is not None:
            value = setting.read(text)
            yield from _checked(setting, value, "environment", setting.variable, problems)


def _misspelt(environment: Mapping[str, str]) -> Iterator[str]:
    """Variables that are no setting but nearly one. Others may be anybody's: Kubernetes, say."""
    known = {setting.variable for setting in SETTINGS.values()} | OTHER_VARIABLES
    for name in environment:
        if name.startswith("FASTNESS_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            if near:
                yield f"{name} is no setting: did you mean {near[0]}?"


# Flags.


def _from_flags(flags: Mapping[str, object], problems: list[str]) -> Iterator[tuple[str, Sourced]]:
    for name, value in flags.items():
        flag = FLAGS.get(name, f"--set {name}")
        yield from _checked(SETTINGS[name], value, "command line", flag, problems)


# One value.


def _checked(
    setting: Setting, value: object, place: str, shown_as: str, problems: list[str]
) -> Iterator[tuple[str, Sourced]]:
    try:
        converted = msgspec.convert(value, setting.type, strict=True)
    except msgspec.ValidationError as error:
        told = "a value that is not shown" if setting.is_secret else f"{value!r}"
        choices = f"choose {setting.choices}; " if setting.choices else ""
        problems.append(
            f"{place}: {shown_as}={told} will not do ({error}): {choices}the default is "
            f"{_example(setting)}"
        )
        return
    source = shown_as if place in {"environment", "command line"} else place
    yield setting.name, Sourced(converted, source)


def _example(setting: Setting) -> str:
    default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
    return msgspec.json.encode(default).decode()
