-- Appends what one or several callers have decided, in one round trip and one commit.
--
-- The callers' events lie one after the other; "ends" tells where each caller's end (counted from 1, inclusive).
-- A row a caller comes back, in their order: the ids of its events, or NULL where another writer was first.
-- A caller alone is told that by the error itself.
--
-- The lock makes ids and commits come in one order: a follower that has seen an id has seen all below it.
-- PostgreSQL gives it back only when the commit is visible. It is an advisory one, because a lock on the table
-- would wait for every vacuum and analyze of it, and either end them or run into its own timeout. Who locks the
-- table all the same (the stock recorder does) is kept apart too: INSERT waits for that lock before it draws an
-- id, and that lock waits for our commit.

-- For the function below alone, which holds the lock. (In plpgsql, because a plan is kept for a session there.)
CREATE FUNCTION workflow_orchestrator_insert(events stored_event_text[])
RETURNS bigint[]
LANGUAGE plpgsql
AS $body$
DECLARE
    ids bigint[];
BEGIN
    WITH inserted AS (
        INSERT INTO public.workflow_orchestrator_events (originator_id, originator_version, topic, state)
        SELECT originator_id, originator_version, topic, state FROM unnest(events)
        RETURNING notification_id
    )
    SELECT array_agg(notification_id ORDER BY notification_id) INTO ids FROM inserted;
    RETURN ids;
END
$body$;

CREATE FUNCTION workflow_orchestrator_append(events stored_event_text[], ends integer[])
RETURNS SETOF bigint[]
LANGUAGE plpgsql
AS $body$
DECLARE
    ids bigint[];
    newest bigint;
    start integer := 1;
BEGIN
    SET LOCAL lock_timeout = '1s';
    PERFORM pg_advisory_xact_lock(3051, 1);

    IF cardinality(ends) = 1 THEN
        ids := public.workflow_orchestrator_insert(events);
        newest := ids[cardinality(ids)];
        RETURN NEXT ids;
    ELSE
        BEGIN
            ids := public.workflow_orchestrator_insert(events);
            newest := ids[cardinality(ids)];
            FOR caller IN 1 .. cardinality(ends) LOOP
                RETURN NEXT ids[start : ends[caller]];
                start := ends[caller] + 1;
            END LOOP;
        EXCEPTION WHEN unique_violation THEN
            FOR caller IN 1 .. cardinality(ends) LOOP
                BEGIN
                    ids := public.workflow_orchestrator_insert(events[start : ends[caller]]);
                    newest := ids[cardinality(ids)];
                EXCEPTION WHEN unique_violation THEN
                    ids := NULL;
                END;
                RETURN NEXT ids;
                start := ends[caller] + 1;
            END LOOP;
        END;
    END IF;

    PERFORM pg_notify('workflow_orchestrator_events', newest::text) WHERE newest IS NOT NULL;
END
$body$;
