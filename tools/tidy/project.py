"""Checks of what must agree across files: dependencies, lock, changelog, folders, error tree."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from tools.tidy.finding import Finding, Module

PYPROJECT = PurePosixPath("pyproject.toml")
DEPENDENCIES = PurePosixPath("docs/DEPENDENCIES.md")
LOCK = PurePosixPath("requirements/dev.lock")
CHANGELOG = PurePosixPath("CHANGELOG.md")
MANUAL = PurePosixPath("tests/README.md")

_REQUIREMENT_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
_DEPENDENCY_ROW = re.compile(r"^\| *`(?P<name>[^`]+)` *\|")
_PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==[^ ;\\]+")
_TREE_LINE = re.compile(
    r"^(?P<indent>[ |]*)(?:\||`)-- (?P<names>[A-Z]\w*(?:, [A-Z]\w*)*)", flags=re.MULTILINE
)


def direct_dependencies(pyproject: str) -> set[str]:
    """Every package pyproject.toml names itself, normalised as registries do."""
    parsed = tomllib.loads(pyproject)
    requirements: list[str] = [
        *parsed["build-system"]["requires"],
        *parsed["project"].get("dependencies", ()),
    ]
    for extra in parsed["project"].get("optional-dependencies", {}).values():
        requirements += extra
    return {_normalised(requirement) for requirement in requirements}


def explained_dependencies(pyproject: str, page: str) -> Iterator[Finding]:
    """A direct dependency without its row in the page of reasons, or a row for none."""
    rows = {
        _normalised(row["name"]): number
        for number, line in enumerate(page.splitlines(), start=1)
        if (row := _DEPENDENCY_ROW.match(line))
    }
    wanted = direct_dependencies(pyproject)
    for name in sorted(wanted - rows.keys()):
        yield Finding(
            DEPENDENCIES,
            0,
            f"no row for `{name}`: say what it is for, and what it was chosen over",
        )
    for name in sorted(rows.keys() - wanted):
        yield Finding(DEPENDENCIES, rows[name], f"`{name}` is no direct dependency: drop its row")


def locked_dependencies(pyproject: str, lock: str) -> Iterator[Finding]:
    """A direct dependency that the lock does not pin, or a pin without a hash."""
    pins: dict[str, int] = {}
    hashed: set[str] = set()
    current = ""
    for number, line in enumerate(lock.splitlines(), start=1):
        if pin := _PIN.match(line):
            current = pin["name"]
            pins[current] = number
        elif line.lstrip().startswith("--hash=sha256:"):
            hashed.add(current)
        elif line.strip() and not line.lstrip().startswith("#"):
            yield Finding(LOCK, number, f"{line.strip()!r} is no pinned package: run make lock")
    for name in sorted(direct_dependencies(pyproject) - pins.keys()):
        yield Finding(LOCK, 0, f"`{name}` is not pinned: run make lock")
    for name in sorted(pins.keys() - hashed):
        yield Finding(LOCK, pins[name], f"`{name}` has no hash: run make lock")


def changelog(text: str) -> Iterator[Finding]:
    """A changelog with nowhere to put the next change."""
    if "## Unreleased" not in text.splitlines():
        yield Finding(CHANGELOG, 1, "no '## Unreleased' section: add one above the newest version")


def folders_of_tests(folders: Iterable[str], manual: str) -> Iterator[Finding]:
    """A folder of tests that tests/README.md does not give a purpose."""
    for folder in sorted(folders):
        if f"`{folder}/`" not in manual:
            yield Finding(MANUAL, 0, f"no line for `{folder}/`: say which tests go there")


def error_tree(module: Module) -> Iterator[Finding]:
    """Errors whose codes clash, or whose classes are not the tree drawn above them."""
    classes = [node for node in module.tree.body if isinstance(node, ast.ClassDef)]
    if not classes:
        return
    yield from _clashing_codes(module, classes)
    root = classes[0].name
    drawn = {root: "Exception", **_drawn_parents(ast.get_docstring(module.tree) or "", root)}
    for node in classes:
        base = node.bases[0].id if node.bases and isinstance(node.bases[0], ast.Name) else ""
        if node.name not in drawn:
            yield module.finding(node, f"{node.name} is not drawn in the module's tree: add it")
        elif drawn[node.name] != base:
            yield module.finding(
                node, f"{node.name} derives from {base}, but is drawn below {drawn[node.name]}"
            )
    for name in sorted(drawn.keys() - {node.name for node in classes}):
        yield Finding(module.path, 1, f"{name} is drawn in the tree, but there is no such class")


def _clashing_codes(module: Module, classes: list[ast.ClassDef]) -> Iterator[Finding]:
    """Each class needs its own code: wires and programs tell errors apart by it."""
    owners: dict[str, str] = {}
    for node in classes:
        code = _code_of(node)
        if code is None:
            yield module.finding(node, f"{node.name} has no code of its own: give it a stable one")
        elif code in owners:
            yield module.finding(
                node, f"{node.name} has the code {code!r} of {owners[code]}: choose another"
            )
        else:
            owners[code] = node.name


def _code_of(node: ast.ClassDef) -> str | None:
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        named = any(isinstance(target, ast.Name) and target.id == "code" for target in targets)
        if named and isinstance(value, ast.Constant):
            return str(value.value)
    return None


def _drawn_parents(docstring: str, root: str) -> dict[str, str]:
    """Each class drawn in the tree, with the class it is drawn below."""
    parents: dict[str, str] = {}
    path = [root]
    offset: int | None = None
    for line in _TREE_LINE.finditer(docstring):
        indent = len(line["indent"])
        offset = indent if offset is None else offset
        depth = (indent - offset) // 4 + 1
        names = line["names"].split(", ")
        path = [*path[:depth], names[-1]]
        parents |= dict.fromkeys(names, path[depth - 1])
    return parents


def _normalised(requirement: str) -> str:
    name = _REQUIREMENT_NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", name[0]).lower() if name else requirement
