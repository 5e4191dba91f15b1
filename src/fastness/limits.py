"""Every limit of the system in one place. Nothing is unbounded.

`Limits()` is what production runs with. Tests shrink single fields with
`dataclasses.replace` so that edges are hit with little data. Sizes are bytes, times are
milliseconds (units come last in each name).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from fastness.errors import InvalidOption

KIB = 1024
MIB = 1024 * KIB

KEY_SPACE_BYTES_MAX = 256
"""The longest prefix that a token binds its holder to."""

BIRTH_AHEAD_MS_MAX = 60_000
"""How far above the ceiling of timestamps that a node knows an id may claim to be born.

Honest ids lie below the ceiling; a node that knows an old one hears of the new one soon.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes, counts and times a database keeps to; all are positive integers."""

    key_bytes: int = 8 * KIB
    value_bytes: int = 1 * MIB
    transaction_bytes: int = 10 * MIB
    """Keys and values written, and keys of intervals read, of one transaction."""
    transaction_keys: int = 200_000
    """Keys read, plus keys written or matched by delete_range, of one transaction."""
    page_entries: int = 1_000
    """Entries a scan returns in one page unless told otherwise."""
    page_entries_max: int = 100_000
    retention_ms: int = 3_600_000
    """How long versions stay readable that were overwritten, or have expired; then they go."""
    read_keys: int = 1_000
    """Reads of concurrent tasks that a client sends in one frame."""
    commits_queued: int = 10_000
    """Commits waiting in one range; more are refused with `Overloaded`."""
    batch_commits: int = 1_024
    batch_bytes: int = 16 * MIB
    recent_keys: int = 200_000
    """Recently written keys a range remembers for validation; below them the store is asked."""
    watches: int = 100_000
    retry_ms: int = 30_000
    """How long the library retries a transaction unless given a deadline."""
    retries: int = 1_000
    backoff_ms: int = 500
    """The longest pause between two attempts."""
    ceiling_ms: int = 5_000
    """How far ahead of the clock the oracle's durable ceiling is raised."""
    prune_step_keys: int = 250
    """Versions removed in one background step: commits wait for one that is under way."""
    prune_pause_ms: int = 10
    lease_ms: int = 3_000
    """How long a node's lease of its ranges, or of the oracle, lasts unless renewed."""
    tick_ms: int = 20
    """How often a node looks at what is overdue; ten times rarer while nothing is under way."""
    prepare_ms: int = 2_000
    """How long a transaction over several ranges may stay undecided; then anybody may abort it."""
    ask_ms: int = 200
    """The pause between two questions for the same decision."""
    outcome_ms: int = 60_000
    """How long a range remembers what became of transactions, for clients that ask again."""
    cache_lease_ms: int = 1_000
    """How long a client may serve what it cached without asking again."""
    tracked_keys: int = 100_000
    """Keys and intervals a range tracks for caches; beyond them a cache lease is revoked."""
    reads_queued: int = 10_000
    """Reads waiting in one range; more are refused with `Overloaded`."""
    prepared: int = 10_000
    """Undecided transactions a range holds locks for; more prepares are refused."""
    call_ms: int = 500
    """A call between processes that is not answered for this long is sent again."""
    calls_in_flight: int = 10_000
    """Unanswered calls of one process; more are refused with `Overloaded`."""
    operation_ms: int = 10_000
    """How long a client looks for somebody to answer a read before it is `Unreachable`."""
    commit_ms: int = 10_000
    """How long a client pursues a commit, and then again its outcome, before it is unknown."""
    reroute_ms: int = 100
    """The longest pause before a client asks again where a range is."""
    cache_bytes: int = 64 * MIB
    """Keys and values of a client's near cache; the least recently used go first."""
    remembered_bytes: int = 256 * MIB
    """What a cluster's node remembers of its stores, estimated: hot reads ask no store."""
    cache_scans: int = 10_000
    """Scans a client's near cache holds."""
    prune_every_ms: int = 10_000
    """Between two times a node raises the prune horizons of the ranges it holds."""
    answer_bytes: int = 4 * MIB
    """Keys and values in one answer to a read. The rest is asked for; a larger one comes alone."""
    scan_entries: int = 1_000
    """Entries a node reads for one answer, so that other requests need not wait for long."""
    requests_in_flight: int = 20_000
    """Requests a node works on at once; what ends transactions may take as much again."""
    draws_queued: int = 1_000
    """Requests for timestamps that wait for the oracle's ceiling."""
    claim_ms: int = 50
    """How much longer a node hesitates to claim a range for each one it holds."""
    move_bytes: int = 1 * MIB
    """Versions that a move carries to the other store in one step."""
    balance_ms: int = 10_000
    """How often the nodes of a cluster compare what they have to do, and even it out."""
    range_bytes: int = 512 * MIB
    """A range of a cluster whose newest versions take more is split in halves."""
    survey_ms: int = 60_000
    """How often a node draws a sample of each store's keys, to tell how large its ranges are."""
    poll_ms: int = 1_000
    """How often a node looks at the coordinator while it is told of no change."""
    coordinator_ms: int = 300
    """How long one member of an etcd cluster may take to answer before the next one is asked."""
    frame_bytes: int = 32 * MIB
    """The longest frame a process takes; a peer is told when its connection opens."""
    connections: int = 10_000
    """Connections a process accepts at a time; beyond them newcomers are refused."""
    connections_unauthenticated: int = 256
    """Of them, those in their handshake; beyond them the one that has said nothing for longest
    is closed, so that silent dialers keep nobody out."""
    handshake_ms: int = 5_000
    """How long a connection may take to open, TLS included, before it is closed."""
    connection_write_bytes: int = 64 * MIB
    """Bytes that may wait for a peer to read them; one that lets more pile up is disconnected."""
    keepalive_ms: int = 10_000
    """A peer not heard of for this long is asked, and given up when it does not answer as long."""
    reconnect_ms: int = 500
    """The longest pause before a peer that could not be reached is dialed again."""
    http_connections: int = 1_000
    """Connections the gateway, and the admin pages, take at a time over HTTP."""
    http_idle_ms: int = 60_000
    """How long an HTTP connection may take over one request, or wait before the next."""
    http_body_bytes: int = 16 * MIB
    """The longest body of an HTTP request: the largest transaction in base64 has room."""
    http_bodies_bytes: int = 128 * MIB
    """Bodies and unread answers of all HTTP connections; beyond them requests are refused."""
    http_answer_bytes: int = 8 * MIB
    """Keys and values in one answer of the gateway; a page ends there, and goes on by its
    continuation."""
    http_watch_ms: int = 60_000
    """How long the gateway lets a request wait for a change."""
    http_clients: int = 256
    """Tokens for which the gateway keeps a connection to the node."""
    http_repeat_ms: int = 86_400_000
    """How long the gateway knows a transaction by the id its sender gave it."""
    store_wait_ms: int = 2_000
    """How long a request to a PostgreSQL store waits for its primary to be found."""
    store_writers: int = 2
    """Connections of a node to a PostgreSQL store that write batches."""
    store_readers: int = 4
    """Those that read."""
    block_cache_bytes: int = 64 * MIB
    write_buffer_bytes: int = 32 * MIB

    @property
    def stored_key_bytes(self) -> int:
        """What a key takes at most with the prefix of its writer's key space."""
        return self.key_bytes + KEY_SPACE_BYTES_MAX

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise InvalidOption(
                    f"limit {field.name}={value!r} is not a positive integer; leave it out to "
                    f"get the default {field.default!r}"
                )
