"""Checks of one Python file: sizes, docstrings, names, imports and swallowed errors."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from tools.tidy.finding import Finding, Module

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70

BANNED_MODULE_NAMES = frozenset(
    {"util", "utils", "helper", "helpers", "misc", "miscellaneous", "common", "shared", "stuff"}
)
ABBREVIATIONS = {
    "buf": "buffer",
    "cfg": "configuration",
    "cnt": "count",
    "conf": "configuration",
    "ctx": "context",
    "fn": "function",
    "idx": "index",
    "mgr": "the thing it manages",
    "msg": "message",
    "num": "count, or number",
    "ptr": "position",
    "ts": "timestamp",
    "txn": "transaction",
    "val": "value",
}
PACKAGES_ABOVE_THE_FACE = ("cli", "testing")
"""The packages above `fastness.open`: they use the public face, as users do."""

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_NOQA = re.compile(r"#\s*noqa\b(?P<rest>.*)")
_NOQA_WITH_REASON = re.compile(r": [A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)* - \S")
_TYPE_IGNORE = re.compile(r"#\s*type:\s*ignore(?P<rest>.*)")
_TYPE_IGNORE_WITH_REASON = re.compile(r"\[[a-z, -]+\]  # \S")


def functions(module: Module) -> Iterator[_Function]:
    """Every function and method, nested ones too."""
    for node in ast.walk(module.tree):
        if isinstance(node, _Function):
            yield node


def file_length(module: Module) -> Iterator[Finding]:
    """A file a reader cannot hold in mind."""
    lines = module.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield Finding(
            module.path,
            lines,
            f"{lines} lines, at most {FILE_LINES_MAX}: split it by job, one noun per file",
        )


def function_length(module: Module) -> Iterator[Finding]:
    """A function that does more than one thing."""
    for function in functions(module):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield module.finding(
                function,
                f"{function.name} has {lines} lines, at most {FUNCTION_LINES_MAX}: name its steps "
                "and make each a function",
            )


def module_docstring(module: Module) -> Iterator[Finding]:
    """A module that does not say what it is for."""
    if not (ast.get_docstring(module.tree) or "").strip():
        yield Finding(
            module.path, 1, "no module docstring: open with the module's job and its limits"
        )


def module_name(module: Module) -> Iterator[Finding]:
    """A drawer: a file or folder named for nothing in particular."""
    for part in (*module.path.parts[:-1], module.path.stem):
        if part.strip("_") in BANNED_MODULE_NAMES:
            yield Finding(
                module.path,
                0,
                f"'{part}' is a drawer for anything: name the noun it holds, such as 'intervals', "
                "'cells' or 'retry'",
            )


def class_names(module: Module) -> Iterator[Finding]:
    """A class that manages."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Manager"):
            yield module.finding(
                node,
                f"class {node.name}: say what it is or does instead, such as "
                f"'{node.name.removesuffix('Manager') or 'Lease'}Registry', '...Pool', "
                "'...Scheduler' or '...Table'",
            )


def public_names(module: Module) -> Iterator[Finding]:
    """An abbreviation in a public function's name or parameters, in the package itself."""
    if module.path.parts[:1] != ("src",):
        return
    for function in functions(module):
        if function.name.startswith("_"):
            continue
        arguments = function.args
        parameters = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        for name in (function.name, *(parameter.arg for parameter in parameters)):
            for word in name.strip("_").split("_"):
                if word in ABBREVIATIONS:
                    yield module.finding(
                        function,
                        f"'{name}' in {function.name} abbreviates: write out {ABBREVIATIONS[word]}",
                    )


def function_level_imports(module: Module) -> Iterator[Finding]:
    """An import of our own inside a function, which hides a cycle between layers."""
    for function in functions(module):
        for node in ast.walk(function):
            if any(name.split(".")[0] == "fastness" for name in _imported(node)):
                yield module.finding(
                    node,
                    f"{function.name} imports our own module: import it at the top; if that is a "
                    "cycle, move what both sides need to the layer below",
                )


def public_face_imports(module: Module, layers: frozenset[str]) -> Iterator[Finding]:
    """A layer that imports the package's public face, which imports every layer below it.

    `layers` are the names of the modules and packages directly inside `fastness`.
    """
    parts = module.path.parts
    if parts[:2] != ("src", "fastness") or len(parts) < 4 or parts[2] in PACKAGES_ABOVE_THE_FACE:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module == "fastness":
            faced = any(alias.name not in layers for alias in node.names)
        else:
            faced = "fastness" in _imported(node)
        if faced:
            yield module.finding(
                node, "imports the public face: import from the layer that defines the name"
            )


def swallowed_errors(module: Module) -> Iterator[Finding]:
    """An `except` that catches anything and does nothing."""
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.ExceptHandler)
            and _catches_anything(node.type)
            and all(_does_nothing(statement) for statement in node.body)
        ):
            yield module.finding(
                node, "swallows every error: catch the one expected, or let it pass to the caller"
            )
        if isinstance(node, ast.Call) and _called(node) in {"suppress", "contextlib.suppress"}:
            for argument in node.args:
                if _catches_anything(argument):
                    yield module.finding(
                        node, "suppresses every error: name the one expected, or let it pass"
                    )


def unexplained_exemptions(module: Module) -> Iterator[Finding]:
    """A rule of a linter or of the type checker switched off without saying why."""
    for number, line in enumerate(module.text.splitlines(), start=1):
        noqa = _NOQA.search(line)
        if noqa and not _NOQA_WITH_REASON.match(noqa["rest"]):
            yield Finding(
                module.path, number, "a rule is off without a reason: write 'noqa: RULE - reason'"
            )
        ignore = _TYPE_IGNORE.search(line)
        if ignore and not _TYPE_IGNORE_WITH_REASON.match(ignore["rest"]):
            yield Finding(
                module.path,
                number,
                "a rule is off without a reason: write 'ignore[code]  # reason'",
            )


def _imported(node: ast.AST) -> list[str]:
    """The modules a statement imports; `from fastness import x` may mean either."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["fastness." * bool(node.level) + (node.module or "")]
    return []


def _called(call: ast.Call) -> str:
    """The dotted name of what is called, or nothing where it is computed."""
    return dotted(call.func)


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a chain of names, or nothing where it is anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def _catches_anything(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_catches_anything(one) for one in caught.elts)
    return caught is None or dotted(caught) in {"Exception", "BaseException"}


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass | ast.Continue) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


CHECKS: tuple[Callable[[Module], Iterator[Finding]], ...] = (
    file_length,
    function_length,
    module_docstring,
    module_name,
    class_names,
    public_names,
    function_level_imports,
    swallowed_errors,
    unexplained_exemptions,
)
