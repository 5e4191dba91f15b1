-- Functions that carry the versions of a range to another store.

-- The first keys of [from_key, to_key), about as many as hold `bytes_max`, with every version above
-- the horizon; with `after` only keys that the log names above it. A first row (kind 0) tells how
-- the range stands, a last one (kind 2) where the rest begins. A changed key of which nothing is
-- left comes with NULLs.
CREATE FUNCTION fastness.versions(
    id int8, from_key bytea, to_key bytea, up_to int8, after int8, horizon int8, bytes_max int8,
    most int4
) RETURNS TABLE (
    kind int4, whole bytea, committed int8, expires int8, ended int8, value bytea
) LANGUAGE sql STABLE AS $$
    WITH found AS MATERIALIZED (
        SELECT k.whole FROM (
            (SELECT n.key || n.rest FROM fastness.newest n
            WHERE after = 0 AND n.key >= fastness.head(from_key) AND n.key <= fastness.head(to_key)
                AND (n.key, n.rest) >= (fastness.head(from_key), fastness.rest(from_key))
                AND (n.key, n.rest) < (fastness.head(to_key), fastness.rest(to_key))
            ORDER BY n.key, n.rest LIMIT most + 1)
            UNION
            (SELECT h.key || h.rest FROM (
                SELECT DISTINCT o.key, o.rest FROM fastness.history o
                WHERE after = 0 AND o.key >= fastness.head(from_key)
                    AND o.key <= fastness.head(to_key)
                    AND (o.key, o.rest) >= (fastness.head(from_key), fastness.rest(from_key))
                    AND (o.key, o.rest) < (fastness.head(to_key), fastness.rest(to_key))
                ORDER BY o.key, o.rest LIMIT most + 1
            ) AS h)
            UNION
            (SELECT DISTINCT w.whole FROM fastness.log l
            CROSS JOIN unnest(l.fresh || l.replaced || l.deleted) AS w(whole)
            WHERE after > 0 AND l.committed > after AND l.committed <= up_to
                AND w.whole >= from_key AND w.whole < to_key
            ORDER BY w.whole LIMIT most + 1)
        ) AS k(whole) ORDER BY k.whole LIMIT most + 1
    ), version AS MATERIALIZED (
        SELECT f.whole, v.committed, v.expires, v.ended, v.value
        FROM found f LEFT JOIN LATERAL (
            SELECT n.committed, n.expires, 0::int8 AS ended, n.value FROM fastness.newest n
            WHERE n.key = fastness.head(f.whole) AND n.tag = fastness.tag(f.whole)
                AND n.committed <= up_to
            UNION ALL
            SELECT h.committed, h.expires, h.ended, h.value FROM fastness.history h
            WHERE h.key = fastness.head(f.whole) AND h.tag = fastness.tag(f.whole)
                AND h.ended > horizon AND h.committed <= up_to
        ) AS v ON true
    ), sized AS (
        SELECT s.whole, row_number() OVER in_order AS place,
            sum(s.size) OVER in_order - s.size AS before
        FROM (
            SELECT v.whole, octet_length(v.whole) + 64
                + coalesce(sum(octet_length(v.value) + 16), 0) AS size
            FROM version v GROUP BY v.whole
        ) AS s WINDOW in_order AS (ORDER BY s.whole ROWS UNBOUNDED PRECEDING)
    ), cut AS (
        -- There is no min(bytea) before PostgreSQL 18.
        SELECT (
            SELECT s.whole FROM sized s
            WHERE s.place > most OR (s.place > 1 AND s.before >= bytes_max)
            ORDER BY s.whole LIMIT 1
        ) AS rest
    )
    SELECT 0, NULL::bytea, r.number, r.prune_horizon, NULL::int8, NULL::bytea
    FROM fastness.ranges r WHERE r.range_id = id
    UNION ALL
    SELECT 1, v.whole, v.committed, v.expires, v.ended, v.value FROM version v, cut c
    WHERE c.rest IS NULL OR v.whole < c.rest
    UNION ALL
    SELECT 2, c.rest, NULL, NULL, NULL, NULL FROM cut c WHERE c.rest IS NOT NULL
$$;

-- Arrays of keys as one without repetitions, NULL for none.
CREATE FUNCTION fastness.together(one bytea[], other bytea[]) RETURNS bytea[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT array_agg(DISTINCT k.whole) FROM unnest(one || other) AS k(whole));

CREATE FUNCTION fastness.without(named bytea[], these bytea[]) RETURNS bytea[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT array_agg(k.whole) FROM unnest(named) AS k(whole) WHERE NOT k.whole = ANY(these)
    );

-- One step of building a range: `keys` get the versions v_ in place of those they have, and the
-- log names them as m_ says. The range is told of as it stood before; `good` says whether the step
-- was taken.
CREATE FUNCTION fastness.load(
    id int8, at_epoch int8, this int8, highest int8, keys bytea[],
    v_keys bytea[], v_times int8[], v_expires int8[], v_ended int8[], v_values bytea[],
    m_times int8[], m_keys bytea[], m_kinds int4[],
    born bool, b_applied int8, b_horizon int8, r_names bytea[], r_values bytea[]
) RETURNS TABLE (
    good bool, range_id int8, epoch int8, number int8, applied int8, prune_horizon int8,
    skipped int8, committed int8
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    was record;
BEGIN
    SELECT r.* INTO was FROM fastness.ranges r WHERE r.range_id = id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    good := was.epoch = at_epoch AND was.epoch <> 9223372036854775807 AND was.number = this - 1
        AND (NOT born OR b_applied >= greatest(was.applied, highest));
    IF good THEN
        DELETE FROM fastness.newest n USING unnest(keys) AS k(whole)
        WHERE n.key = fastness.head(k.whole) AND n.tag = fastness.tag(k.whole);
        INSERT INTO fastness.newest (committed, expires, gone, key, tag, rest, value)
        SELECT v.time, v.expires, CASE WHEN v.expires IS NOT NULL
            THEN greatest(v.time, v.expires) END, fastness.head(v.whole), fastness.tag(v.whole),
            fastness.rest(v.whole), v.value
        FROM unnest(v_keys, v_times, v_expires, v_ended, v_values)
            AS v(whole, time, expires, ended, value) WHERE v.ended = 0;
        INSERT INTO fastness.history (ended, committed, expires, key, tag, rest, value)
        SELECT v.ended, v.time, v.expires, fastness.head(v.whole), fastness.tag(v.whole),
            fastness.rest(v.whole), v.value
        FROM unnest(v_keys, v_times, v_expires, v_ended, v_values)
            AS v(whole, time, expires, ended, value) WHERE v.ended > 0
        ON CONFLICT (key, tag, ended) DO NOTHING;
        INSERT INTO fastness.log AS l (committed, range_id, fresh, replaced, deleted)
        SELECT m.time, id, array_agg(m.whole) FILTER (WHERE m.kind = 0),
            array_agg(m.whole) FILTER (WHERE m.kind = 1),
            array_agg(m.whole) FILTER (WHERE m.kind = 2)
        FROM unnest(m_times, m_keys, m_kinds) AS m(time, whole, kind) GROUP BY m.time
        ON CONFLICT (committed, range_id) DO UPDATE SET
            fresh = fastness.together(l.fresh, excluded.fresh),
            replaced = fastness.together(l.replaced, excluded.replaced),
            deleted = fastness.together(l.deleted, excluded.deleted);
        INSERT INTO fastness.records (range_id, handle, long_name, value)
        SELECT id, fastness.handle(x.name),
            CASE WHEN octet_length(x.name) > 2000 THEN x.name END, x.value
        FROM unnest(r_names, r_values) AS x(name, value)
        ON CONFLICT (range_id, handle) DO UPDATE SET value = excluded.value;
        UPDATE fastness.ranges r SET number = this,
            applied = CASE WHEN born THEN b_applied ELSE greatest(r.applied, highest) END,
            committed = CASE WHEN born THEN b_applied ELSE r.committed END,
            prune_horizon = CASE WHEN born THEN b_horizon ELSE r.prune_horizon END
        WHERE r.range_id = id;
    END IF;
    range_id := id;
    epoch := was.epoch;
    number := was.number;
    applied := was.applied;
    prune_horizon := was.prune_horizon;
    skipped := was.skipped;
    committed := was.committed;
    RETURN NEXT;
END $$;

-- Remove every version of the next keys of an interval, `most` at a time, and what the log has of
-- them. `done` is how many keys went, -1 for a refusal. Last go keys that are only in the log:
-- pruning takes an entry in pieces, the versions first.
CREATE FUNCTION fastness.drop_keys(
    id int8, at_epoch int8, from_key bytea, to_key bytea, most int4,
    OUT done int4, OUT epoch int8, OUT number int8, OUT applied int8, OUT prune_horizon int8,
    OUT skipped int8, OUT committed int8
) LANGUAGE plpgsql AS $$
DECLARE
    these bytea[];
    times int8[];
BEGIN
    SELECT r.epoch, r.number, r.applied, r.prune_horizon, r.skipped, r.committed
    INTO epoch, number, applied, prune_horizon, skipped, committed
    FROM fastness.ranges r WHERE r.range_id = id FOR NO KEY UPDATE;
    IF epoch IS NULL OR epoch <> at_epoch OR epoch = 9223372036854775807 THEN
        done := -1;
        RETURN;
    END IF;
    SELECT coalesce(array_agg(k.whole), '{}') INTO these FROM (
        (SELECT n.key || n.rest FROM fastness.newest n
        WHERE n.key >= fastness.head(from_key) AND n.key <= fastness.head(to_key)
            AND (n.key, n.rest) >= (fastness.head(from_key), fastness.rest(from_key))
            AND (n.key, n.rest) < (fastness.head(to_key), fastness.rest(to_key))
        LIMIT most)
        UNION
        (SELECT h.key || h.rest FROM fastness.history h
        WHERE h.key >= fastness.head(from_key) AND h.key <= fastness.head(to_key)
            AND (h.key, h.rest) >= (fastness.head(from_key), fastness.rest(from_key))
            AND (h.key, h.rest) < (fastness.head(to_key), fastness.rest(to_key))
        LIMIT most)
    ) AS k(whole);
    WITH old AS (
        DELETE FROM fastness.history h USING unnest(these) AS k(whole)
        WHERE h.key = fastness.head(k.whole) AND h.tag = fastness.tag(k.whole)
        RETURNING h.committed, h.ended
    ), live AS (
        DELETE FROM fastness.newest n USING unnest(these) AS k(whole)
        WHERE n.key = fastness.head(k.whole) AND n.tag = fastness.tag(k.whole)
        RETURNING n.committed
    )
    SELECT coalesce(array_agg(DISTINCT x.time), '{}') INTO times FROM (
        SELECT o.committed FROM old o UNION ALL SELECT o.ended FROM old o
        UNION ALL SELECT l.committed FROM live l
    ) AS x(time);
    IF these = '{}' THEN
        SELECT coalesce(array_agg(DISTINCT w.whole), '{}'), coalesce(array_agg(DISTINCT w.time), '{}')
        INTO these, times
        FROM (
            SELECT k.whole, l.committed AS time
            FROM fastness.log l, unnest(l.fresh || l.replaced || l.deleted) AS k(whole)
            WHERE l.committed <= drop_keys.prune_horizon AND k.whole >= from_key AND k.whole < to_key
            LIMIT most
        ) AS w;
    END IF;
    UPDATE fastness.log l SET taken = 0, fresh = fastness.without(l.fresh, these),
        replaced = fastness.without(l.replaced, these),
        deleted = fastness.without(l.deleted, these)
    WHERE l.committed = ANY(times) AND (l.fresh || l.replaced || l.deleted) && these;
    DELETE FROM fastness.log l WHERE l.committed = ANY(times)
        AND cardinality(coalesce(l.fresh || l.replaced || l.deleted, '{}')) = 0;
    done := cardinality(these);
END $$;
