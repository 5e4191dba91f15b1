"""Asking a server for its figures."""

from __future__ import annotations

from fastness.client.cluster.core import ClusterCore
from fastness.client.cluster.routing import Pace
from fastness.client.figures import ServerStat, StoreStat
from fastness.errors import InvalidEncoding
from fastness.storage.contract import StoreSize
from fastness.wire.figures import FiguresAnswer, FiguresRequest


async def asked_figures(core: ClusterCore) -> FiguresAnswer | None:
    """Of the node that holds the first key this client reaches; `None` where it is too old to tell.

    Raises as reads do: `Unreachable` where nobody answers for `limits.operation_ms`.
    """
    pace = Pace(core.calls, core.limits)
    while True:
        descriptor = core.routes.serving(core.space)
        if descriptor is not None:
            reply = await core.calls.ask(descriptor.holder, FiguresRequest())
            if type(reply) is FiguresAnswer:
                return reply
            try:
                core.reader.take(reply)
            except InvalidEncoding:
                # What a server answers that knows no such request.
                return None
        await core.reader.rest(pace)


def server_stat(answer: FiguresAnswer) -> ServerStat:
    """What is told of the server."""
    return ServerStat(
        agent=answer.agent,
        uptime_ms=answer.uptime_ms,
        is_ready=answer.is_ready,
        write_refusal=answer.write_refusal,
        readable_since=answer.readable_since,
        use=answer.use,
    )


def store_stat(answer: FiguresAnswer) -> StoreStat | None:
    """What is told of its store, `None` where nothing is."""
    store = answer.store
    if store is None:
        return None
    return StoreStat(
        identity=store.identity,
        applied=store.applied,
        prune_horizon=answer.readable_since,
        batches=store.batches,
        clock_jumps=store.clock_jumps,
        size=StoreSize(
            bytes_on_disk=store.bytes_on_disk,
            newest_keys=store.newest_keys,
            history_versions=store.history_versions,
            log_entries=store.log_entries,
        ),
    )
