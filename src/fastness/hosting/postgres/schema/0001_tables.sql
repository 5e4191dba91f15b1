-- What a store keeps. Every key is in three columns: its first 2,000 bytes, since an index row
-- holds no more than 2,704; a tag, which is empty, or the SHA-256 of the rest; and the rest. So
-- (key, tag) is unique and short, and (key, rest) sorts as the keys do.

-- The one row of the store itself.
CREATE TABLE fastness.store (
    only_one bool PRIMARY KEY DEFAULT true CHECK (only_one),
    cluster_id text NOT NULL,
    store_id text NOT NULL,
    -- Raised, synchronously, before what a new connection reads is believed.
    barrier int8 NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

-- One short row per range, locked and rewritten by each of its batches. No index but the
-- primary key, and room on the page: then a rewrite never leaves the page (a HOT update), and the
-- next one that comes by takes the dead rows away, without waiting for a vacuum.
CREATE TABLE fastness.ranges (
    range_id int8 PRIMARY KEY,
    epoch int8 NOT NULL,
    number int8 NOT NULL DEFAULT 0,
    applied int8 NOT NULL DEFAULT 0,
    prune_horizon int8 NOT NULL DEFAULT 0,
    skipped int8 NOT NULL DEFAULT 0,
    committed int8 NOT NULL DEFAULT 0
) WITH (
    fillfactor = 20,
    autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0
);

-- The newest version of each key: one lookup in one index. `gone` is when a version that expires
-- shows nothing to anybody any more; plain ones have none, so that overwriting them is HOT too.
CREATE TABLE fastness.newest (
    committed int8 NOT NULL,
    expires int8,
    gone int8,
    key bytea NOT NULL,
    tag bytea NOT NULL,
    rest bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (key, tag)
) WITH (
    fillfactor = 85,
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_threshold = 50000, autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 1,
    toast.autovacuum_vacuum_threshold = 5000, toast.autovacuum_vacuum_scale_factor = 0.02
);
CREATE INDEX newest_gone ON fastness.newest (gone, key, tag) WHERE gone IS NOT NULL;

-- Overwritten versions: each was the newest in [committed, ended).
CREATE TABLE fastness.history (
    ended int8 NOT NULL,
    committed int8 NOT NULL,
    expires int8,
    key bytea NOT NULL,
    tag bytea NOT NULL,
    rest bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (key, tag, ended)
) WITH (
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 1,
    toast.autovacuum_vacuum_threshold = 5000, toast.autovacuum_vacuum_scale_factor = 0.05
);

-- The keys each commit changed, by what became of them, in commit order. `taken` says of how many
-- of `replaced || deleted` pruning has removed the versions they ended.
CREATE TABLE fastness.log (
    committed int8 NOT NULL,
    range_id int8 NOT NULL,
    taken int4 NOT NULL DEFAULT 0,
    fresh bytea[],
    replaced bytea[],
    deleted bytea[],
    PRIMARY KEY (committed, range_id)
) WITH (
    fillfactor = 95,
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 1,
    toast.autovacuum_vacuum_threshold = 5000, toast.autovacuum_vacuum_scale_factor = 0.05
);
CREATE INDEX log_by_range ON fastness.log (range_id, committed);

-- Whose log entries may name keys that are now a range's: those of the range it was split from,
-- and of those it absorbed, up to a timestamp. So pruning a range need not look at all others'.
CREATE TABLE fastness.lineage (
    range_id int8 NOT NULL,
    ancestor int8 NOT NULL,
    up_to int8 NOT NULL,
    PRIMARY KEY (range_id, ancestor)
);

-- Records of a range: intents, outcomes and the like. A long name has its start and its SHA-256
-- as the handle.
CREATE TABLE fastness.records (
    range_id int8 NOT NULL,
    handle bytea NOT NULL,
    long_name bytea,
    value bytea NOT NULL,
    PRIMARY KEY (range_id, handle)
) WITH (
    fillfactor = 85,
    autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 1,
    toast.autovacuum_vacuum_threshold = 2000, toast.autovacuum_vacuum_scale_factor = 0.05
);

CREATE TABLE fastness.marks (
    name text PRIMARY KEY,
    value bytea NOT NULL
);

-- Keys are read with nearly every row: never out of line.
ALTER TABLE fastness.newest ALTER COLUMN key SET STORAGE MAIN, ALTER COLUMN tag SET STORAGE MAIN;
ALTER TABLE fastness.history ALTER COLUMN key SET STORAGE MAIN, ALTER COLUMN tag SET STORAGE MAIN;
