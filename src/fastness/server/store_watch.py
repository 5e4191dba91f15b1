"""How long the store took over what: recorded on its thread, read on the loop."""

from __future__ import annotations

from fastness.server.exposition import Histogram


class StoreTimes:
    """A `hosting.local_store.StoreWatch` that keeps histograms. One thread records in them."""

    __slots__ = ("applied", "applies", "synced", "syncs", "waited", "waits")

    def __init__(self) -> None:
        self.waits = Histogram()
        """From the loop's asking to the thread's beginning."""
        self.applies = Histogram()
        self.syncs = Histogram()
        self.waited = self.waits.record
        self.applied = self.applies.record
        self.synced = self.syncs.record
