-- No event is stored after one that was moved to an archive (docs/audit.md): instances decide on what they remember of a
-- stream, and may not know that it has gone there.

CREATE OR REPLACE FUNCTION workflow_orchestrator_insert(events stored_event_text[])
RETURNS bigint[]
LANGUAGE plpgsql
AS $body$
DECLARE
    ids bigint[];
    event stored_event_text;
BEGIN
    WITH inserted AS (
        INSERT INTO public.workflow_orchestrator_events (originator_id, originator_version, topic, state)
        SELECT originator_id, originator_version, topic, state FROM unnest(events)
        RETURNING notification_id
    )
    SELECT array_agg(notification_id ORDER BY notification_id) INTO ids FROM inserted;

    FOREACH event IN ARRAY events LOOP
        IF event.originator_version > 1 AND NOT EXISTS (
            SELECT FROM public.workflow_orchestrator_events AS stored
            WHERE stored.originator_id = event.originator_id
                AND stored.originator_version = event.originator_version - 1
                AND substring(stored.state FROM 1 FOR 12) IS DISTINCT FROM '{"archived":'::bytea
        ) THEN
            RAISE unique_violation USING MESSAGE = 'the event before one of these is not there, or in an archive';
        END IF;
    END LOOP;

    RETURN ids;
END
$body$;
