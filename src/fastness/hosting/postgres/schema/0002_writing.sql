-- Functions that change a store. Each begins by locking the rows of its ranges, in order of their
-- ids; the statements after it see everything that was committed before the lock was had, since
-- at READ COMMITTED each statement of a function looks anew.

CREATE FUNCTION fastness.head(whole bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN substring(whole FROM 1 FOR 2000);

CREATE FUNCTION fastness.rest(whole bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN substring(whole FROM 2001);

CREATE FUNCTION fastness.tag(whole bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN octet_length(whole) <= 2000 THEN ''::bytea
                ELSE sha256(substring(whole FROM 2001)) END;

CREATE FUNCTION fastness.handle(name bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN octet_length(name) <= 2000 THEN name
                ELSE substring(name FROM 1 FOR 2000) || sha256(name) END;

-- Make versions of writes: one row per write, a NULL value deletes. `ids` are the ranges' by slot.
CREATE FUNCTION fastness.write(
    ids int8[], slots int4[], times int8[], keys bytea[], written bytea[], expiries int8[],
    late bool[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wrong int8;
BEGIN
    WITH given AS MATERIALIZED (
        SELECT w.slot, w.time, w.whole, w.value, w.expires, w.late,
            fastness.head(w.whole) AS key, fastness.tag(w.whole) AS tag,
            fastness.rest(w.whole) AS rest
        FROM unnest(slots, times, keys, written, expiries, late)
            AS w(slot, time, whole, value, expires, late)
    ), chained AS (
        -- Members of a batch that write the same key follow each other.
        SELECT g.*, lag(g.value IS NOT NULL) OVER same AS was, lead(g.time) OVER same AS until
        FROM given g WINDOW same AS (PARTITION BY g.key, g.tag ORDER BY g.time)
    ), seen AS MATERIALIZED (
        SELECT c.*, n.committed AS old_committed, n.expires AS old_expires, n.value AS old_value,
            coalesce(c.was, n.committed IS NOT NULL) AS present
        FROM chained c
        LEFT JOIN fastness.newest n ON c.was IS NULL AND n.key = c.key AND n.tag = c.tag
    ), ended AS (
        INSERT INTO fastness.history (ended, committed, expires, key, tag, rest, value)
        SELECT s.time, s.old_committed, s.old_expires, s.key, s.tag, s.rest, s.old_value
        FROM seen s WHERE s.old_committed IS NOT NULL
        UNION ALL
        SELECT s.until, s.time, s.expires, s.key, s.tag, s.rest, s.value
        FROM seen s WHERE s.until IS NOT NULL AND s.value IS NOT NULL
    ), placed AS (
        INSERT INTO fastness.newest AS n (committed, expires, gone, key, tag, rest, value)
        SELECT s.time, s.expires, CASE WHEN s.expires IS NOT NULL
            THEN greatest(s.time, s.expires) END, s.key, s.tag, s.rest, s.value
        FROM seen s WHERE s.until IS NULL AND s.value IS NOT NULL
        ON CONFLICT (key, tag) DO UPDATE SET committed = excluded.committed,
            expires = excluded.expires, gone = excluded.gone, value = excluded.value
    ), removed AS (
        DELETE FROM fastness.newest n USING seen s
        WHERE s.until IS NULL AND s.value IS NULL AND n.key = s.key AND n.tag = s.tag
    ), logged AS (
        INSERT INTO fastness.log AS l (committed, range_id, fresh, replaced, deleted)
        SELECT s.time, ids[s.slot],
            array_agg(s.whole) FILTER (WHERE s.value IS NOT NULL AND NOT s.present),
            array_agg(s.whole) FILTER (WHERE s.value IS NOT NULL AND s.present),
            array_agg(s.whole) FILTER (WHERE s.value IS NULL)
        FROM seen s WHERE s.value IS NOT NULL OR s.present
        GROUP BY s.time, ids[s.slot]
        -- Two parts of a transaction, whose ranges were merged meanwhile.
        ON CONFLICT (committed, range_id) DO UPDATE SET taken = 0,
            fresh = l.fresh || excluded.fresh, replaced = l.replaced || excluded.replaced,
            deleted = l.deleted || excluded.deleted
    )
    SELECT count(*) INTO wrong FROM seen s WHERE s.old_committed >= s.time
        OR (s.late AND s.was IS NULL AND s.old_committed IS NULL AND EXISTS (
            SELECT FROM fastness.history h
            WHERE h.key = s.key AND h.tag = s.tag AND h.ended >= s.time));
    IF wrong > 0 THEN
        RAISE EXCEPTION 'no commit lies at or below a version of a key it writes'
            USING ERRCODE = 'FS001';
    END IF;
END $$;

-- Write the writes of one stage of some batches, and what their erased intervals hold by now.
CREATE FUNCTION fastness.write_stage(
    ids int8[], good int4[], this int4,
    slots int4[], stages int4[], times int8[], keys bytea[], written bytea[], expiries int8[],
    late bool[],
    e_slots int4[], e_stages int4[], e_times int8[], e_begins bytea[], e_ends bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH chosen AS (
        SELECT w.slot, w.time, w.whole, w.value, w.expires, w.late, true AS explicit
        FROM unnest(slots, stages, times, keys, written, expiries, late)
            AS w(slot, stage, time, whole, value, expires, late)
        WHERE w.stage = this AND w.slot = ANY(good)
        UNION ALL
        SELECT e.slot, e.time, n.key || n.rest, NULL, NULL, false, false
        FROM unnest(e_slots, e_stages, e_times, e_begins, e_ends)
            AS e(slot, stage, time, from_key, to_key)
        JOIN fastness.newest n
            ON n.key >= fastness.head(e.from_key) AND n.key <= fastness.head(e.to_key)
            AND (n.key, n.rest) >= (fastness.head(e.from_key), fastness.rest(e.from_key))
            AND (n.key, n.rest) < (fastness.head(e.to_key), fastness.rest(e.to_key))
            -- Later versions than a late commit's are left alone.
            AND n.committed < e.time
        WHERE e.stage = this AND e.slot = ANY(good)
    ), once AS (
        -- A commit's writes count after what it erases.
        SELECT DISTINCT ON (c.time, c.whole) c.* FROM chosen c
        ORDER BY c.time, c.whole, c.explicit DESC
    )
    SELECT array_agg(o.slot), array_agg(o.time), array_agg(o.whole), array_agg(o.value),
        array_agg(o.expires), array_agg(o.late)
    INTO slots, times, keys, written, expiries, late FROM once o;
    IF cardinality(slots) > 0 THEN
        PERFORM fastness.write(ids, slots, times, keys, written, expiries, late);
    END IF;
END $$;

-- Close the ranges that batches absorb, and make those they give birth to.
CREATE FUNCTION fastness.reshape(
    ids int8[], good int4[], a_slots int4[], a_ids int8[],
    s_slots int4[], s_ids int8[], s_epochs int8[], s_applied int8[], s_horizons int8[],
    i_ids int8[], i_names bytea[], i_values bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fastness.lineage AS l (range_id, ancestor, up_to)
    SELECT f.range_id, f.ancestor, max(f.up_to) FROM (
        SELECT ids[a.slot], r.range_id, r.applied
        FROM unnest(a_slots, a_ids) AS a(slot, id) JOIN fastness.ranges r ON r.range_id = a.id
        WHERE a.slot = ANY(good)
        UNION ALL
        SELECT ids[a.slot], o.ancestor, o.up_to
        FROM unnest(a_slots, a_ids) AS a(slot, id) JOIN fastness.lineage o ON o.range_id = a.id
        WHERE a.slot = ANY(good)
    ) AS f(range_id, ancestor, up_to) WHERE f.ancestor <> f.range_id GROUP BY 1, 2
    ON CONFLICT (range_id, ancestor) DO UPDATE SET up_to = greatest(l.up_to, excluded.up_to);

    UPDATE fastness.ranges r SET applied = greatest(r.applied, x.applied),
        prune_horizon = greatest(r.prune_horizon, x.prune_horizon),
        committed = greatest(r.committed, x.committed)
    FROM (
        SELECT a.slot, max(o.applied) AS applied, max(o.prune_horizon) AS prune_horizon,
            max(o.committed) AS committed
        FROM unnest(a_slots, a_ids) AS a(slot, id) JOIN fastness.ranges o ON o.range_id = a.id
        GROUP BY a.slot
    ) AS x WHERE r.range_id = ids[x.slot] AND x.slot = ANY(good);

    UPDATE fastness.ranges r SET epoch = 9223372036854775807
    FROM unnest(a_slots, a_ids) AS a(slot, id) WHERE r.range_id = a.id AND a.slot = ANY(good);
    DELETE FROM fastness.records r USING unnest(a_slots, a_ids) AS a(slot, id)
    WHERE r.range_id = a.id AND a.slot = ANY(good);
    DELETE FROM fastness.lineage r USING unnest(a_slots, a_ids) AS a(slot, id)
    WHERE r.range_id = a.id AND a.slot = ANY(good);

    INSERT INTO fastness.ranges (range_id, epoch, applied, prune_horizon, committed)
    SELECT s.id, s.epoch, s.applied, s.horizon, least(p.committed, s.applied)
    FROM unnest(s_slots, s_ids, s_epochs, s_applied, s_horizons)
        AS s(slot, id, epoch, applied, horizon)
    JOIN fastness.ranges p ON p.range_id = ids[s.slot] WHERE s.slot = ANY(good);
    INSERT INTO fastness.lineage (range_id, ancestor, up_to)
    SELECT s.id, p.range_id, p.applied
    FROM unnest(s_slots, s_ids) AS s(slot, id)
    JOIN fastness.ranges p ON p.range_id = ids[s.slot] WHERE s.slot = ANY(good)
    UNION ALL
    SELECT s.id, o.ancestor, o.up_to
    FROM unnest(s_slots, s_ids) AS s(slot, id)
    JOIN fastness.lineage o ON o.range_id = ids[s.slot] WHERE s.slot = ANY(good);
    INSERT INTO fastness.records (range_id, handle, long_name, value)
    SELECT i.id, fastness.handle(i.name),
        CASE WHEN octet_length(i.name) > 2000 THEN i.name END, i.value
    FROM unnest(i_ids, i_names, i_values) AS i(id, name, value)
    WHERE i.id IN (
        SELECT s.id FROM unnest(s_slots, s_ids) AS s(slot, id) WHERE s.slot = ANY(good)
    );
END $$;

-- The batches of several ranges, each applied whole or refused by itself. A row comes back for
-- each one refused, with how the ranges stand that it is about; none means that all are applied.
--   slot  a batch's place among `ids`      w_  writes         e_  erased intervals
--   r_    records of the ranges            m_  marks          a_  absorbed ranges
--   s_    ranges born, i_  with records
CREATE FUNCTION fastness.apply(
    ids int8[], epochs int8[], numbers int8[], firsts int8[], lasts int8[], highests int8[],
    w_slots int4[], w_stages int4[], w_times int8[], w_keys bytea[], w_values bytea[],
    w_expires int8[], w_late bool[],
    e_slots int4[], e_stages int4[], e_times int8[], e_begins bytea[], e_ends bytea[],
    r_slots int4[], r_names bytea[], r_values bytea[],
    m_slots int4[], m_names text[], m_values bytea[],
    a_slots int4[], a_ids int8[], a_epochs int8[],
    s_slots int4[], s_ids int8[], s_epochs int8[], s_applied int8[], s_horizons int8[],
    i_ids int8[], i_names bytea[], i_values bytea[]
) RETURNS TABLE (
    slot int4, range_id int8, epoch int8, number int8, applied int8, prune_horizon int8,
    skipped int8, committed int8
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    closed CONSTANT int8 := 9223372036854775807;
    bad int4[] := '{}';
    good int4[];
BEGIN
    PERFORM FROM fastness.ranges r WHERE r.range_id = ANY(ids || a_ids)
    ORDER BY r.range_id FOR NO KEY UPDATE;
    IF cardinality(a_ids) + cardinality(s_ids) > 0 THEN
        SELECT coalesce(array_agg(x.slot), '{}') INTO bad FROM (
            SELECT a.slot FROM unnest(a_slots, a_ids, a_epochs) AS a(slot, id, epoch)
            LEFT JOIN fastness.ranges r ON r.range_id = a.id
            WHERE r.epoch IS DISTINCT FROM a.epoch OR r.epoch IN (0, closed) OR a.id = ids[a.slot]
                OR (SELECT count(*) FROM unnest(a_ids) AS o(id) WHERE o.id = a.id) > 1
            UNION ALL
            SELECT s.slot FROM unnest(s_slots, s_ids, s_epochs, s_horizons)
                AS s(slot, id, epoch, horizon)
            WHERE s.epoch < 1 OR s.epoch = closed
                OR EXISTS (SELECT FROM fastness.ranges r WHERE r.range_id = s.id)
                OR (SELECT count(*) FROM unnest(s_ids) AS o(id) WHERE o.id = s.id) > 1
                OR s.horizon < (
                    SELECT max(r.prune_horizon) FROM fastness.ranges r
                    WHERE r.range_id = ids[s.slot] OR r.range_id IN (
                        SELECT a.id FROM unnest(a_slots, a_ids) AS a(slot, id)
                        WHERE a.slot = s.slot))
        ) AS x;
    END IF;
    WITH moved_on AS (
        UPDATE fastness.ranges r SET number = b.number,
            applied = greatest(r.applied, b.highest), committed = greatest(r.committed, b.last)
        FROM unnest(ids, epochs, numbers, firsts, lasts, highests) WITH ORDINALITY
            AS b(id, epoch, number, first, last, highest, slot)
        WHERE r.range_id = b.id AND r.epoch = b.epoch AND r.epoch <> closed
            AND r.number = b.number - 1 AND NOT b.slot = ANY(bad)
            -- NULL where it has no commits of its own.
            AND (b.first > greatest(r.committed, r.prune_horizon)) IS NOT FALSE
        RETURNING b.slot::int4
    ) SELECT coalesce(array_agg(m.slot), '{}') INTO good FROM moved_on m;

    IF cardinality(a_ids) + cardinality(s_ids) > 0 THEN
        PERFORM fastness.reshape(ids, good, a_slots, a_ids, s_slots, s_ids, s_epochs, s_applied,
            s_horizons, i_ids, i_names, i_values);
    END IF;
    IF cardinality(e_slots) = 0 AND cardinality(good) = cardinality(ids) THEN
        IF cardinality(w_slots) > 0 THEN
            PERFORM fastness.write(ids, w_slots, w_times, w_keys, w_values, w_expires, w_late);
        END IF;
    ELSE
        FOR stage IN 1 .. (SELECT coalesce(max(x.stage), 0) FROM unnest(w_stages || e_stages)
            AS x(stage))
        LOOP
            PERFORM fastness.write_stage(ids, good, stage, w_slots, w_stages, w_times, w_keys,
                w_values, w_expires, w_late, e_slots, e_stages, e_times, e_begins, e_ends);
        END LOOP;
    END IF;
    IF cardinality(r_slots) > 0 THEN
        WITH given AS MATERIALIZED (
            SELECT ids[x.slot] AS id, fastness.handle(x.name) AS handle, x.name, x.value
            FROM unnest(r_slots, r_names, r_values) AS x(slot, name, value)
            WHERE x.slot = ANY(good)
        ), removed AS (
            DELETE FROM fastness.records o USING given g
            WHERE g.value IS NULL AND o.range_id = g.id AND o.handle = g.handle
        )
        INSERT INTO fastness.records (range_id, handle, long_name, value)
        SELECT g.id, g.handle, CASE WHEN octet_length(g.name) > 2000 THEN g.name END, g.value
        FROM given g WHERE g.value IS NOT NULL
        ON CONFLICT (range_id, handle) DO UPDATE SET value = excluded.value;
    END IF;
    IF cardinality(m_slots) > 0 THEN
        INSERT INTO fastness.marks (name, value)
        SELECT DISTINCT ON (x.name) x.name, x.value
        FROM unnest(m_slots, m_names, m_values) AS x(slot, name, value)
        WHERE x.slot = ANY(good)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value;
    END IF;
    IF cardinality(good) < cardinality(ids) THEN
        RETURN QUERY
        SELECT x.slot::int4, r.range_id, r.epoch, r.number, r.applied, r.prune_horizon, r.skipped,
            r.committed
        FROM (
            SELECT b.slot, b.id FROM unnest(ids) WITH ORDINALITY AS b(id, slot)
            UNION ALL
            SELECT a.slot, a.id FROM unnest(a_slots || s_slots, a_ids || s_ids) AS a(slot, id)
        ) AS x LEFT JOIN fastness.ranges r ON r.range_id = x.id
        WHERE NOT x.slot = ANY(good);
    END IF;
END $$;

-- Open a range at an epoch above every earlier one. First comes its row, as it is now: at another
-- epoch than asked for, if that is refused. Its records follow.
CREATE FUNCTION fastness.open_range(id int8, at_epoch int8) RETURNS TABLE (
    epoch int8, number int8, applied int8, prune_horizon int8, skipped int8, committed int8,
    name bytea, value bytea, opened bool
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    done bool;
BEGIN
    INSERT INTO fastness.ranges AS r (range_id, epoch) VALUES (id, at_epoch)
    ON CONFLICT (range_id) DO UPDATE SET epoch = excluded.epoch WHERE r.epoch < excluded.epoch;
    done := FOUND;
    RETURN QUERY SELECT r.epoch, r.number, r.applied, r.prune_horizon, r.skipped, r.committed,
        NULL::bytea, NULL::bytea, done FROM fastness.ranges r WHERE r.range_id = id;
    IF done THEN
        RETURN QUERY SELECT NULL::int8, NULL::int8, NULL::int8, NULL::int8, NULL::int8, NULL::int8,
            coalesce(o.long_name, o.handle), o.value, done
        FROM fastness.records o WHERE o.range_id = id;
    END IF;
END $$;

-- Use up the number of a batch that was not applied. The row comes back as it was before. It is
-- written in any case: what is told of it must outlive this server.
CREATE FUNCTION fastness.settle(id int8, at_epoch int8, asked int8) RETURNS TABLE (
    epoch int8, number int8, applied int8, prune_horizon int8, skipped int8, committed int8
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM fastness.ranges r WHERE r.range_id = id FOR NO KEY UPDATE;
    RETURN QUERY SELECT r.epoch, r.number, r.applied, r.prune_horizon, r.skipped, r.committed
        FROM fastness.ranges r WHERE r.range_id = id;
    UPDATE fastness.ranges r SET
        skipped = CASE WHEN r.number = asked - 1 THEN asked ELSE r.skipped END,
        number = CASE WHEN r.number = asked - 1 THEN asked ELSE r.number END
    WHERE r.range_id = id AND r.epoch = at_epoch AND r.epoch <> 9223372036854775807 AND asked > 0;
END $$;
