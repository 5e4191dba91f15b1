"""What the client layer builds on: the operations, both kinds, and the schema's machinery.

Operations are written once (`_async`) and their synchronous twins generated (`_sync`). The
registry, the builder and the check run in synchronous transactions only.
"""

from fastness.model._async.operations import AsyncTypedOperations
from fastness.model._sync.building import build_all, build_step
from fastness.model._sync.checking import findings
from fastness.model._sync.operations import TypedOperations
from fastness.model._sync.registry import read_schema, register
from fastness.model.schema import Schema

__all__ = [
    "AsyncTypedOperations",
    "Schema",
    "TypedOperations",
    "build_all",
    "build_step",
    "findings",
    "read_schema",
    "register",
]
