"""Switches the traces of a server on: the one place that looks whether the extra is installed."""

from __future__ import annotations

import asyncio
import importlib
from contextlib import AsyncExitStack

from fastness.errors import InvalidOption
from fastness.node import Gate


def traced_gate(gate: Gate, stack: AsyncExitStack) -> Gate:
    """The same gate, which makes spans; what they are sent by stops with `stack`."""
    try:
        # An extra that need not be there, and slow to import: only whoever wants it pays.
        tracing = importlib.import_module("fastness.server.tracing")
    except ModuleNotFoundError as error:
        raise InvalidOption(
            f"tracing.export=true needs OpenTelemetry, and {error.name!r} is not installed: pip "
            "install 'fastness[otel]', or leave it off"
        ) from error
    exporting = tracing.Exporting()
    stack.push_async_callback(asyncio.to_thread, exporting.stop)
    traced: Gate = tracing.TracingGate(gate, exporting.tracer)
    return traced
