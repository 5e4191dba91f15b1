"""Checks of one test file: a goal for each test, real things only, and no waiting."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from tools.tidy.finding import Finding, Module
from tools.tidy.source import dotted, functions

MOCKING_MODULES = frozenset({"mock", "unittest.mock"})


def goals(module: Module) -> Iterator[Finding]:
    """A test whose goal is left to guess."""
    for function in functions(module):
        if function.name.startswith("test_") and not ast.get_docstring(function):
            yield module.finding(
                function, f"{function.name} has no docstring: state its goal in one line"
            )


def sleeps(module: Module) -> Iterator[Finding]:
    """Waiting for time to pass. `asyncio.sleep(0)` only lets other tasks run: it may stay."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            slept = any(alias.name == "sleep" for alias in node.names)
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            slept = name == "time.sleep" or (name == "asyncio.sleep" and not _is_zero(node.args))
        else:
            continue
        if slept:
            yield module.finding(
                node, "sleeps: drive the clock of fastness.runtime, or wait on an event or a pipe"
            )


def mocks(module: Module) -> Iterator[Finding]:
    """A stand-in for our own code, which proves nothing about it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        else:
            continue
        if names & MOCKING_MODULES:
            yield module.finding(
                node, "mocks: use the second real implementation, such as the memory store"
            )


def _is_zero(arguments: list[ast.expr]) -> bool:
    return (
        len(arguments) == 1 and isinstance(arguments[0], ast.Constant) and arguments[0].value == 0
    )


CHECKS: tuple[Callable[[Module], Iterator[Finding]], ...] = (goals, sleeps, mocks)
