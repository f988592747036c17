-- The calls that steps of kind http are still to make. The index finds the oldest of each tenant's to each service,
-- however many of another's there are.

CREATE TABLE step_calls (
    id text PRIMARY KEY,
    service text NOT NULL,
    tenant text NOT NULL,
    dispatched_at timestamptz NOT NULL,
    call bytea NOT NULL
);

CREATE INDEX step_calls_lanes ON step_calls (service, tenant, dispatched_at, id);
