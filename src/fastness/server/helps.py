"""What each count of a node and of its transport is, as a collector is told.

A test holds these against the fields of `node.Counts` and `transport.TransportCounts`: a count
that is added there needs a line here.
"""

from __future__ import annotations

NODE = {
    "alarms": "Things no correct system does, an oracle that went back above all. Alert on any.",
    "requests": "Requests given to ranges.",
    "malformed": "Frames that could not be decoded.",
    "forbidden": "Requests and notices that were refused for lack of rights or for their rate.",
    "other_protocol": "Frames of another protocol version.",
    "unexpected": "Well-formed frames that make no sense here.",
    "misrouted": "Requests for a range that this node does not hold.",
    "old_generation": "Requests that believe in another generation of a range.",
    "old_epoch": "Acknowledgements meant for an earlier leaseholder.",
    "overloaded": "Requests refused because too much is being worked on.",
    "repeated": "Calls that arrived twice.",
    "stale_answers": "Answers to calls that were given up.",
    "calls_unanswered": "Calls of this node that nobody answered in time.",
    "calls_dropped": "Calls of this node not sent because too many were out.",
    "stale_reads": "Store reads answered by a demoted primary, and dropped.",
    "batches": "Batches of commits written.",
    "batches_in_doubt": "Batches whose write ended without an answer.",
    "batches_lost": "Of them, those found not to have been written.",
    "fenced": "Times a higher epoch was met.",
    "opens_failed": "Ranges that could not be opened.",
    "claims_won": "Ranges and oracle roles claimed.",
    "takeovers": "Of them, those their last holder had not released.",
    "claims_lost": "Claims that another node won.",
    "leases_lost": "Leases lost before they were released.",
    "sessions": "Sessions begun at the coordinator.",
    "sessions_lost": "Sessions lost.",
    "renewals": "Times leases were proved again.",
    "coordinator_failures": "Requests to the coordinator that failed.",
    "flips_completed": "Interrupted splits, merges and moves that were completed.",
    "splits": "Ranges split.",
    "merges": "Ranges merged.",
    "transfers": "Ranges handed to another node.",
    "balanced": "Splits and transfers asked for to even out what the nodes have to do.",
    "draws": "Blocks of timestamps issued.",
    "ceiling_writes": "Times the ceiling of timestamps was raised.",
    "rows_pruned": "Rows of old versions removed.",
    "ticks": "Times the node looked at what was overdue.",
}

TRANSPORT = {
    "connections": "Open connections, those in their handshake included.",
    "unauthenticated": "Connections in their handshake.",
    "accepted": "Connections accepted.",
    "dialed": "Connections dialed.",
    "opened": "Handshakes that ended well.",
    "closed": "Connections closed.",
    "refused_connections": "Connections turned away because there were too many.",
    "refused_handshakes": "Handshakes refused: token, version, address or form.",
    "silent_handshakes": "Connections that said too little in time.",
    "failed_dials": "Dials that failed.",
    "frames_in": "Frames received.",
    "frames_out": "Frames sent.",
    "bytes_in": "Bytes received.",
    "bytes_out": "Bytes sent.",
    "malformed": "Connections closed for bytes that make no sense.",
    "oversized": "Frames too long to be taken or sent.",
    "slow": "Peers disconnected because they did not read.",
    "dead": "Peers disconnected because nothing was heard of them.",
    "undeliverable": "Frames dropped because nobody could be reached.",
    "accept_errors": "Connections the system could not accept.",
}
NOW = frozenset({"connections", "unauthenticated"})
"""Counts of the transport that sink again."""
