-- One step of pruning: what no reader of [from_key, to_key) at or above a horizon needs, `most` rows.
--
-- The log is walked in order, that of the range and of its ancestors: an entry's ended versions
-- go, then the entry. Where an entry names keys outside, only those inside go, from the entry as
-- well; the others are left to the range whose they are. After the log, versions that have expired
-- go. The caller remembers how far the walk has come and brings it along: `reached` and `reached_range`
-- of the last entry done with, and the last expired version seen. `done` is -1 for a refusal.
CREATE FUNCTION fastness.prune(
    id int8, at_epoch int8, from_key bytea, to_key bytea, wanted int8, most int4,
    INOUT reached int8, INOUT reached_range int8,
    INOUT seen_gone int8, INOUT seen_key bytea, INOUT seen_tag bytea,
    OUT done int4, OUT epoch int8, OUT number int8, OUT applied int8, OUT prune_horizon int8,
    OUT skipped int8, OUT committed int8
) LANGUAGE plpgsql AS $$
DECLARE
    room int4 := most;
    used int4;
    entry record;
    ended bytea[];
    piece bytea[];
    outside bool;
    inside bool;
BEGIN
    SELECT r.epoch, r.number, r.applied, r.prune_horizon, r.skipped, r.committed
    INTO epoch, number, applied, prune_horizon, skipped, committed
    FROM fastness.ranges r WHERE r.range_id = id FOR NO KEY UPDATE;
    IF epoch IS NULL OR epoch <> at_epoch OR epoch = 9223372036854775807 THEN
        done := -1;
        RETURN;
    END IF;
    -- What is removed and the horizon are lost together or not at all, and nobody misses them:
    -- batches need not wait until a standby has them.
    PERFORM set_config('synchronous_commit', 'off', true);
    IF wanted > prune_horizon THEN
        prune_horizon := wanted;
        UPDATE fastness.ranges r SET prune_horizon = wanted WHERE r.range_id = id;
    END IF;
    LOOP
        EXIT WHEN room < 1;
        -- The entries that can go whole, up to the first that cannot.
        WITH next AS MATERIALIZED (
            SELECT l.* FROM (
                SELECT id AS ancestor, prune_horizon AS up_to
                UNION ALL
                SELECT o.ancestor, least(o.up_to, prune_horizon) FROM fastness.lineage o
                WHERE o.range_id = id
            ) AS a CROSS JOIN LATERAL (
                SELECT i.* FROM fastness.log i
                WHERE i.range_id = a.ancestor AND i.committed <= a.up_to AND i.committed >= reached
                    AND (i.committed, i.range_id) > (reached, reached_range)
                ORDER BY i.committed LIMIT room
            ) AS l ORDER BY l.committed, l.range_id LIMIT room
        ), summed AS (
            SELECT n.*, sum(1 + cardinality(coalesce(n.replaced || n.deleted, '{}')) - n.taken)
                    OVER in_order AS total,
                bool_or(EXISTS (
                    SELECT FROM unnest(n.fresh || n.replaced || n.deleted) AS k(whole)
                    WHERE k.whole < from_key OR k.whole >= to_key
                )) OVER in_order AS mixed
            FROM next n WINDOW in_order AS (ORDER BY n.committed, n.range_id)
        ), gone AS MATERIALIZED (
            SELECT s.* FROM summed s WHERE s.total <= room AND NOT s.mixed
        ), versions AS (
            DELETE FROM fastness.history h USING gone g, unnest(g.replaced || g.deleted) AS k(whole)
            WHERE h.key = fastness.head(k.whole) AND h.tag = fastness.tag(k.whole)
                AND h.ended = g.committed
        ), entries AS (
            DELETE FROM fastness.log l USING gone g
            WHERE l.committed = g.committed AND l.range_id = g.range_id
        )
        SELECT g.total, g.committed, g.range_id INTO entry
        FROM gone g ORDER BY g.committed DESC, g.range_id DESC LIMIT 1;
        IF FOUND THEN
            room := room - entry.total;
            reached := entry.committed;
            reached_range := entry.range_id;
            CONTINUE;
        END IF;

        SELECT l.committed, l.range_id INTO entry FROM (
            SELECT id AS ancestor, prune_horizon AS up_to
            UNION ALL
            SELECT o.ancestor, least(o.up_to, prune_horizon) FROM fastness.lineage o
            WHERE o.range_id = id
        ) AS a CROSS JOIN LATERAL (
            SELECT i.committed, i.range_id FROM fastness.log i
            WHERE i.range_id = a.ancestor AND i.committed <= a.up_to AND i.committed >= reached
                AND (i.committed, i.range_id) > (reached, reached_range)
            ORDER BY i.committed LIMIT 1
        ) AS l ORDER BY l.committed, l.range_id LIMIT 1;
        EXIT WHEN NOT FOUND;
        -- Whoever prunes the other keys of the entry may be at it: what it left is looked at.
        SELECT l.* INTO entry FROM fastness.log l
        WHERE l.committed = entry.committed AND l.range_id = entry.range_id FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        ended := coalesce(entry.replaced || entry.deleted, '{}');
        ended := ended[entry.taken + 1 :];
        SELECT bool_or(k.whole < from_key OR k.whole >= to_key),
            bool_or(k.whole >= from_key AND k.whole < to_key)
        INTO outside, inside FROM unnest(entry.fresh || entry.replaced || entry.deleted) AS k(whole);
        IF NOT inside THEN
            reached := entry.committed;
            reached_range := entry.range_id;
            room := room - 1;
            CONTINUE;
        END IF;
        SELECT coalesce(array_agg(k.whole), '{}') INTO piece FROM (
            SELECT e.whole FROM unnest(ended) WITH ORDINALITY AS e(whole, place)
            WHERE e.whole >= from_key AND e.whole < to_key ORDER BY e.place LIMIT room
        ) AS k;
        used := cardinality(piece);
        DELETE FROM fastness.history h USING unnest(piece) AS k(whole)
        WHERE h.key = fastness.head(k.whole) AND h.tag = fastness.tag(k.whole)
            AND h.ended = entry.committed;
        IF NOT outside THEN
            -- Longer than there is room: the entry itself is left for another step.
            UPDATE fastness.log l SET taken = l.taken + used
            WHERE l.committed = entry.committed AND l.range_id = entry.range_id;
        ELSIF used < room THEN
            -- Every ended version inside is gone: the entry keeps the keys of others.
            UPDATE fastness.log l SET taken = 0,
                fresh = (SELECT array_agg(k.whole) FROM unnest(l.fresh) AS k(whole)
                    WHERE k.whole < from_key OR k.whole >= to_key),
                replaced = (SELECT array_agg(k.whole) FROM unnest(l.replaced) AS k(whole)
                    WHERE k.whole < from_key OR k.whole >= to_key),
                deleted = (SELECT array_agg(k.whole) FROM unnest(l.deleted) AS k(whole)
                    WHERE k.whole < from_key OR k.whole >= to_key)
            WHERE l.committed = entry.committed AND l.range_id = entry.range_id;
            reached := entry.committed;
            reached_range := entry.range_id;
            used := used + 1;
        ELSE
            UPDATE fastness.log l SET taken = 0,
                replaced = (SELECT array_agg(k.whole) FROM unnest(l.replaced) AS k(whole)
                    WHERE NOT k.whole = ANY(piece)),
                deleted = (SELECT array_agg(k.whole) FROM unnest(l.deleted) AS k(whole)
                    WHERE NOT k.whole = ANY(piece))
            WHERE l.committed = entry.committed AND l.range_id = entry.range_id;
        END IF;
        room := room - used;
    END LOOP;

    IF room > 0 THEN
        -- All of the log up to the horizon was walked: ancestors' entries too.
        DELETE FROM fastness.lineage o WHERE o.range_id = id AND o.up_to <= prune_horizon;
        WITH due AS MATERIALIZED (
            SELECT n.gone, n.key, n.tag, n.key || n.rest AS whole FROM fastness.newest n
            WHERE n.gone <= prune_horizon AND (n.gone, n.key, n.tag) > (seen_gone, seen_key, seen_tag)
            ORDER BY n.gone, n.key, n.tag LIMIT room
        ), expired AS (
            DELETE FROM fastness.newest n USING due d
            WHERE n.key = d.key AND n.tag = d.tag AND d.whole >= from_key AND d.whole < to_key
        )
        SELECT d.gone, d.key, d.tag, count(*) OVER () AS seen INTO entry FROM due d
        ORDER BY d.gone DESC, d.key DESC, d.tag DESC LIMIT 1;
        IF FOUND THEN
            room := room - entry.seen;
            seen_gone := entry.gone;
            seen_key := entry.key;
            seen_tag := entry.tag;
        END IF;
    END IF;
    done := most - room;
END $$;
