"""Opening a range that was just claimed: its epoch in the store, its shape, its leaseholder.

::

    claim (a new epoch at the coordinator)
      -> open the epoch in the store, load records         no older batch applies any more
      -> shape newer than the descriptor: finish the flip  a split or merge that crashed half-way
      -> serve snapshot reads
      -> commits, once no predecessor can be reading       one time to live from the opening
"""

from __future__ import annotations

import asyncio

from fastness.errors import FastnessError, Fenced, StoreDamaged
from fastness.node.coordination import change_of
from fastness.node.held import HeldRanges
from fastness.node.leases import Lease, Tenure, waited_ns
from fastness.node.shell import RangeShell
from fastness.node.site import Site
from fastness.node.waiting import settle
from fastness.placement.cluster_view import Placed
from fastness.placement.descriptors import Descriptor
from fastness.placement.flips import unfinished
from fastness.ranges.shape import SHAPE_RECORD, Shape, decode_shape
from fastness.storage.contract import RangeState


async def open_claimed(
    site: Site, held: HeldRanges, tenure: Tenure, placed: Placed, lease: Lease, *, rested: bool
) -> RangeShell:
    """Serve a range that was claimed; `rested`: nobody has read of it since its release.

    Raises what the store or the coordinator answered: the claim then stands, but its epoch may
    be used up, so another try takes the next one.
    """
    state = await _open(site, placed.descriptor)
    opened_ns = site.boot_ns()
    shape = _shape_of(state, placed.descriptor)
    placed = await _finish_flip(site, placed, lease, shape)
    if not tenure.alive:
        raise Fenced(f"range {placed.descriptor.range_id}: the session ended during the opening")
    from_ns = opened_ns if rested else opened_ns + waited_ns(site.limits.lease_ms)
    return held.take(
        tenure,
        placed,
        lease,
        state,
        shape,
        commits_from_ns=max(from_ns, site.rests_until_ns),
    )


async def _open(site: Site, descriptor: Descriptor) -> RangeState:
    future: asyncio.Future[RangeState | FastnessError] = site.process.future()
    store = site.stores[descriptor.store]
    store.open_range(descriptor.range_id, descriptor.epoch, lambda answer: settle(future, answer))
    answer = await future
    if isinstance(answer, FastnessError):
        raise answer
    return answer


def _shape_of(state: RangeState, descriptor: Descriptor) -> Shape:
    """The shape in the store; the descriptor's while none was ever written.

    `StoreDamaged` where one must have been: to serve such a range as the empty one it is in the
    store would be to lose what was in it without a word.
    """
    record = state.records.get(SHAPE_RECORD)
    if record is not None:
        return decode_shape(record)
    if descriptor.generation > 1:
        raise StoreDamaged(
            f"range {descriptor.range_id} is of generation {descriptor.generation} for the "
            f"coordinator, but store {descriptor.store!r} knows nothing of it: one of the two was "
            "restored alone"
        )
    return Shape(descriptor.range_id, descriptor.begin, descriptor.end, descriptor.generation)


async def _finish_flip(site: Site, placed: Placed, lease: Lease, shape: Shape) -> Placed:
    """Bring the descriptors up to the stored shape, if they are not."""
    if (shape.generation, shape.interval) == (
        placed.descriptor.generation,
        placed.descriptor.interval,
    ):
        return placed
    await site.coordination.refresh()
    flip = unfinished(placed, shape, site.view.ranges)
    if flip is None:
        return placed
    revision = await site.coordination.write_surely(change_of(flip))
    if revision is None:
        raise Fenced(f"range {shape.range_id} was claimed by another node during its opening")
    site.counts.flips_completed += 1
    site.process.note(f"range {shape.range_id}: flip to generation {shape.generation} completed")
    site.view.changed(revision, flip.puts, flip.gone)
    lease.revision = revision
    return Placed(flip.kept, revision)
