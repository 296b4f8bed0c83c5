"""The functions by which a commit asks the server twice.

They do what RelStorage's do, without its temporary tables, which the server fills and empties at each commit:
what is stored comes as arrays. Each session that commits makes them for itself, so they are always those of
this release, and no database has to be brought up to date.
"""

from __future__ import annotations

__all__ = ["FUNCTIONS", "LOCK", "STORE", "STORE_AND_COMMIT"]

# Locks what a transaction changes, and what it depends on; what conflicts are there.
_LOCK = """
CREATE OR REPLACE FUNCTION pg_temp.lotdb_lock(
    oids bigint[], seen bigint[], read_oids bigint[], read_tids bigint[]
)
RETURNS TABLE (zoid bigint, tid bigint, prev_tid bigint, state bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF read_oids IS NOT NULL THEN
        -- What has changed by now is known without any lock.
        RETURN QUERY
            SELECT c.zoid, c.tid, NULL::bigint, NULL::bytea
            FROM unnest(read_oids, read_tids) AS t(zoid, tid) JOIN current_object c ON c.zoid = t.zoid
            WHERE c.tid <> t.tid LIMIT 1;
        IF FOUND THEN
            RETURN;
        END IF;
        -- Nobody waits for these, so that no two wait for each other.
        PERFORM FROM (
            SELECT pg_try_advisory_xact_lock_shared(t.zoid) AS got
            FROM unnest(read_oids) AS t(zoid) ORDER BY t.zoid
        ) AS tried WHERE NOT tried.got LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'lock_not_available', HINT = 'readCurrent';
        END IF;
        PERFORM FROM unnest(read_oids, read_tids) AS t(zoid, tid) JOIN current_object c ON c.zoid = t.zoid
            WHERE c.tid <> t.tid LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'lock_not_available', HINT = 'readCurrent';
        END IF;
    END IF;
    -- All take them in the same order.
    PERFORM pg_advisory_xact_lock(t.zoid)
        FROM unnest(oids, seen) AS t(zoid, seen) WHERE t.seen <> 0 ORDER BY t.zoid;
    RETURN QUERY
        SELECT c.zoid, c.tid, t.seen, o.state
        FROM unnest(oids, seen) AS t(zoid, seen)
            JOIN current_object c ON c.zoid = t.zoid
            JOIN object_state o ON o.zoid = c.zoid AND o.tid = c.tid
        WHERE t.seen <> c.tid;
END;
$$
"""

# Gives a transaction its number, and stores it. Only the loss of the server may stop it now: it waits long.
_STORE = """
CREATE OR REPLACE FUNCTION pg_temp.lotdb_store(
    username bytea, description bytea, extension bytea, oids bigint[], seen bigint[], states bytea[]
)
RETURNS bigint
LANGUAGE plpgsql SET lock_timeout = 500000 AS $$
DECLARE
    number bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(-1);
    SELECT GREATEST(make_current_tid(), COALESCE(MAX(tid), 0) + 1) INTO number FROM "transaction";
    INSERT INTO "transaction" (tid, packed, username, description, extension)
        VALUES (number, FALSE, username, description, extension);
    INSERT INTO object_state (zoid, tid, prev_tid, state_size, state)
        SELECT t.zoid, number, t.seen, COALESCE(LENGTH(t.state), 0), t.state
        FROM unnest(oids, seen, states) AS t(zoid, seen, state);
    INSERT INTO current_object (zoid, tid) SELECT t.zoid, number FROM unnest(oids) AS t(zoid) ORDER BY t.zoid
        ON CONFLICT (zoid) DO UPDATE SET tid = excluded.tid;
    RETURN number;
END;
$$
"""

FUNCTIONS = f"{_LOCK}; {_STORE}"

#: The first question of a commit, with the arguments of its function.
LOCK = "SELECT * FROM pg_temp.lotdb_lock(%s, %s, %s, %s)"
#: What is called by the second one, which answers with the transaction's number.
STORE = "pg_temp.lotdb_store(%s, %s, %s, %s, %s, %s)"
# The server answers with the result of the last statement only.
STORE_AND_COMMIT = (
    f"SELECT set_config('lotdb.tid', {STORE}::text, FALSE); COMMIT; SELECT current_setting('lotdb.tid')"
)
