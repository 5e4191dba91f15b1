-- Functions that read. They are STABLE: all they look at is as it was when the statement that
-- calls them began, so that an answer and the batch number told with it belong together.

-- The overwritten versions of an interval that were visible at a timestamp, `most` keys at least
-- if there are so many. Two lookups a key, however many versions it has.
CREATE FUNCTION fastness.walk_history(
    from_key bytea, to_key bytea, at int8, most int4, backward bool
) RETURNS TABLE (whole bytea, committed int8, expires int8, value bytea)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    low CONSTANT bytea := fastness.head(from_key);
    high CONSTANT bytea := fastness.head(to_key);
    here record;
    last_key bytea;
    taken int4 := 0;
BEGIN
    IF backward THEN
        SELECT h.key, h.tag, h.rest INTO here FROM fastness.history h
        WHERE h.key >= low AND h.key <= high ORDER BY h.key DESC, h.tag DESC LIMIT 1;
    ELSE
        SELECT h.key, h.tag, h.rest INTO here FROM fastness.history h
        WHERE h.key >= low AND h.key <= high ORDER BY h.key, h.tag LIMIT 1;
    END IF;
    WHILE FOUND LOOP
        -- Keys with the same long start do not come in their order: all of them or none.
        EXIT WHEN taken >= most AND here.key <> last_key;
        IF (here.key, here.rest) >= (low, fastness.rest(from_key))
            AND (here.key, here.rest) < (high, fastness.rest(to_key))
        THEN
            whole := here.key || here.rest;
            SELECT v.committed, v.expires, v.value INTO committed, expires, value
            FROM fastness.history v WHERE v.key = here.key AND v.tag = here.tag AND v.ended > at
            ORDER BY v.ended LIMIT 1;
            IF FOUND AND committed <= at THEN
                taken := taken + 1;
                last_key := here.key;
                RETURN NEXT;
            END IF;
        END IF;
        IF backward THEN
            SELECT h.key, h.tag, h.rest INTO here FROM fastness.history h
            WHERE h.key >= low AND (h.key, h.tag) < (here.key, here.tag)
            ORDER BY h.key DESC, h.tag DESC LIMIT 1;
        ELSE
            SELECT h.key, h.tag, h.rest INTO here FROM fastness.history h
            WHERE h.key <= high AND (h.key, h.tag) > (here.key, here.tag)
            ORDER BY h.key, h.tag LIMIT 1;
        END IF;
    END LOOP;
END $$;

-- The first `most` keys of an interval present at a timestamp, and perhaps some after them, in no
-- order. A reader is seldom more than a few commits behind: then what those overwrote is looked up
-- by their entries in the log; else the history of the interval is walked.
CREATE FUNCTION fastness.scan(
    from_key bytea, to_key bytea, at int8, most int4, backward bool
) RETURNS TABLE (whole bytea, committed int8, expires int8, value bytea)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    low bytea := fastness.head(from_key);
    low_rest bytea := fastness.rest(from_key);
    high bytea := fastness.head(to_key);
    high_rest bytea := fastness.rest(to_key);
    recent_max CONSTANT int4 := 256;
    recent int4;
    taken int4 := 0;
BEGIN
    IF backward THEN
        FOR whole, committed, expires, value IN
            SELECT n.key || n.rest, n.committed, n.expires, n.value FROM fastness.newest n
            WHERE n.key >= low AND n.key <= high AND (n.key, n.rest) >= (low, low_rest)
                AND (n.key, n.rest) < (high, high_rest) AND n.committed <= at
            ORDER BY n.key DESC, n.rest DESC LIMIT most
        LOOP
            taken := taken + 1;
            RETURN NEXT;
        END LOOP;
    ELSE
        FOR whole, committed, expires, value IN
            SELECT n.key || n.rest, n.committed, n.expires, n.value FROM fastness.newest n
            WHERE n.key >= low AND n.key <= high AND (n.key, n.rest) >= (low, low_rest)
                AND (n.key, n.rest) < (high, high_rest) AND n.committed <= at
            ORDER BY n.key, n.rest LIMIT most
        LOOP
            taken := taken + 1;
            RETURN NEXT;
        END LOOP;
    END IF;
    IF taken = most THEN
        -- Nothing behind the last one found is wanted.
        IF backward THEN from_key := whole; ELSE to_key := whole; END IF;
    END IF;
    SELECT count(*) INTO recent FROM (
        SELECT FROM fastness.log l WHERE l.committed > at ORDER BY l.committed LIMIT recent_max
    ) AS l;
    IF recent = recent_max THEN
        RETURN QUERY SELECT * FROM fastness.walk_history(from_key, to_key, at, most, backward);
    ELSIF recent > 0 THEN
        RETURN QUERY
        SELECT k.whole, v.committed, v.expires, v.value
        FROM (
            SELECT DISTINCT e.whole FROM fastness.log l, unnest(l.replaced || l.deleted) AS e(whole)
            WHERE l.committed > at AND e.whole >= from_key AND e.whole < to_key
        ) AS k CROSS JOIN LATERAL (
            SELECT h.committed, h.expires, h.value FROM fastness.history h
            WHERE h.key = fastness.head(k.whole) AND h.tag = fastness.tag(k.whole)
                AND h.ended > at ORDER BY h.ended LIMIT 1
        ) AS v WHERE v.committed <= at;
    END IF;
END $$;
