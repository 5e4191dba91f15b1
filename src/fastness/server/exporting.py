"""Switches the traces of a server on: the one place that looks whether the extra is installed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from fastness.errors import InvalidOption
from fastness.node import Gate


def traced_gate(gate: Gate, stack: AsyncExitStack) -> Gate:
    """The same gate, which makes spans; what they are sent by stops with `stack`."""
    try:
        from fastness.server import tracing  # noqa: PLC0415 - an extra, and 0.2 s to import
    except ModuleNotFoundError as error:
        raise InvalidOption(
            f"tracing.export=true needs OpenTelemetry, and {error.name!r} is not installed: pip "
            "install 'fastness[otel]', or leave it off"
        ) from error
    exporting = tracing.Exporting()
    stack.push_async_callback(asyncio.to_thread, exporting.stop)
    return tracing.TracingGate(gate, exporting.tracer)
