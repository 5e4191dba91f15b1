"""What a node counts: refusals, losses, work done. Plain integers, for the console and tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Since the process started."""

    alarms: int = 0
    """Things that no correct system does: an oracle that went back in time, above all."""
    requests: int = 0
    malformed: int = 0
    """Frames that could not be decoded."""
    forbidden: int = 0
    """Requests and notices that the gate did not let in."""
    other_protocol: int = 0
    """Frames of another protocol version."""
    unexpected: int = 0
    """Well-formed frames that make no sense here, as an answer sent as a call."""
    misrouted: int = 0
    """Requests for a range that this node does not hold."""
    old_generation: int = 0
    """Requests that believe in another generation of a range held here."""
    old_epoch: int = 0
    """Acknowledgements meant for an earlier leaseholder."""
    overloaded: int = 0
    repeated: int = 0
    """Calls whose first copy is still being worked on."""
    stale_answers: int = 0
    """Answers to calls that were given up, or asked of somebody else."""
    calls_unanswered: int = 0
    calls_dropped: int = 0
    """Calls not sent, because too many are out."""
    stale_reads: int = 0
    """Store reads answered by a demoted primary, dropped."""
    batches: int = 0
    batches_in_doubt: int = 0
    batches_lost: int = 0
    fenced: int = 0
    opens_failed: int = 0
    claims_won: int = 0
    takeovers: int = 0
    """Of them, ranges whose last holder had not released them."""
    claims_lost: int = 0
    leases_lost: int = 0
    sessions: int = 0
    sessions_lost: int = 0
    renewals: int = 0
    coordinator_failures: int = 0
    flips_completed: int = 0
    splits: int = 0
    merges: int = 0
    transfers: int = 0
    moves: int = 0
    moves_given_up: int = 0
    keys_carried: int = 0
    """Keys loaded into another store by moves, each as often as it changed meanwhile."""
    leftovers_removed: int = 0
    """Intervals removed from a store in which a move had left them."""
    balanced: int = 0
    """Steps this node, with the oracle's role, asked for to even out what the nodes have to do."""
    remembered_hits: int = 0
    remembered_misses: int = 0
    remembered_evictions: int = 0
    remembered_unfit: int = 0
    """Of a node that remembers what it reads: see `hosting.remembering.PoolCounts`."""
    draws: int = 0
    """Blocks of timestamps issued by this node as the oracle."""
    ceiling_writes: int = 0
    rows_pruned: int = 0
    ticks: int = 0
    """Times it looked at what was overdue; rarely while nothing is under way."""
