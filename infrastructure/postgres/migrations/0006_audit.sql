-- What is kept beside the log for asking and proving (docs/audit.md): one row an event, with its tenant's chain of
-- hashes. All of it but audit_anchors is derived from the log, and may be emptied: it is made again.

CREATE TABLE audit_position (
    one integer PRIMARY KEY CHECK (one = 1),
    position text NOT NULL
);

CREATE TABLE audit_heads (
    id bigserial PRIMARY KEY,
    tenant text NOT NULL UNIQUE,
    number bigint NOT NULL,
    position bigint NOT NULL,
    chain bytea NOT NULL,
    latest_at bigint NOT NULL
);

CREATE INDEX audit_heads_position ON audit_heads (position);

CREATE TABLE audit_events (
    position bigint PRIMARY KEY,
    tenant_id bigint NOT NULL,
    number bigint NOT NULL,
    category text NOT NULL,
    aggregate_id text NOT NULL,
    version bigint NOT NULL,
    topic text NOT NULL,
    actor text NOT NULL,
    correlation_id text NOT NULL,
    causation_id text,
    at bigint NOT NULL,
    latest_at bigint NOT NULL,
    leaf bytea NOT NULL,
    chain bytea NOT NULL
);

CREATE INDEX audit_events_tenant ON audit_events (tenant_id, position);
CREATE INDEX audit_events_topic ON audit_events (tenant_id, topic, position);
CREATE INDEX audit_events_aggregate ON audit_events (tenant_id, aggregate_id, position);
CREATE INDEX audit_events_actor ON audit_events (tenant_id, actor, position);
CREATE INDEX audit_events_correlation ON audit_events (tenant_id, correlation_id, position);
CREATE INDEX audit_events_time ON audit_events (tenant_id, latest_at, position);

-- The last anchor of each tenant, kept before it goes out; until it is out, no other follows.

CREATE TABLE audit_anchors (
    tenant text PRIMARY KEY,
    sequence bigint NOT NULL,
    anchor bytea NOT NULL,
    is_out boolean NOT NULL
);

CREATE INDEX audit_anchors_waiting ON audit_anchors (tenant) WHERE NOT is_out;
