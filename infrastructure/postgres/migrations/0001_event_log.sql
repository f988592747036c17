-- The tables as eventsourcing 9.5.6 and releases before this one made them at start-up: a database that
-- they have made is taken over as it is.

CREATE TABLE IF NOT EXISTS workflow_orchestrator_events (
    originator_id text NOT NULL,
    originator_version bigint NOT NULL,
    topic text,
    state bytea,
    notification_id bigserial,
    PRIMARY KEY (originator_id, originator_version)
) WITH (
    autovacuum_enabled = true,
    autovacuum_vacuum_threshold = 100000000,
    autovacuum_vacuum_scale_factor = 0.5,
    autovacuum_analyze_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.01
);

CREATE UNIQUE INDEX IF NOT EXISTS workflow_orchestrator_events_notification_id_idx
    ON workflow_orchestrator_events (notification_id);

DO $$
BEGIN
    CREATE TYPE stored_event_text AS (
        originator_id text,
        originator_version bigint,
        topic text,
        state bytea
    );
EXCEPTION
    WHEN duplicate_object THEN NULL;
END
$$;

-- The library's own function takes no lock: ids would commit out of order, and followers miss events.
DROP FUNCTION IF EXISTS es_insert_events_text(stored_event_text[]);

CREATE TABLE IF NOT EXISTS follower_positions (
    follower text NOT NULL,
    partition text NOT NULL,
    position text NOT NULL,
    PRIMARY KEY (follower, partition)
);

CREATE TABLE IF NOT EXISTS timers (
    id text PRIMARY KEY,
    due_at timestamptz NOT NULL,
    timer bytea NOT NULL
);

CREATE INDEX IF NOT EXISTS timers_due ON timers (due_at);
