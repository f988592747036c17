-- Keys of personal fields (docs/erasure.md), each wrapped by the master key, and their erasures. A key that is
-- deleted here is gone; until the table is vacuumed its wrapped bytes may still lie in a page, the write-ahead log
-- and backups.

CREATE TABLE personal_keys (
    id text PRIMARY KEY,
    tenant text NOT NULL,
    subject text NOT NULL,
    wrapped bytea NOT NULL,
    UNIQUE (tenant, subject)
);

CREATE TABLE personal_erasures (
    number bigserial PRIMARY KEY,
    tenant text NOT NULL,
    key_id text NOT NULL,
    reason text,
    erased_at timestamptz NOT NULL,
    is_told boolean NOT NULL DEFAULT FALSE
);

CREATE INDEX personal_erasures_untold ON personal_erasures (number) WHERE NOT is_told;

-- Which streams hold values that are sealed under a key. Derived from the log, as the rest of the index.

CREATE TABLE audit_sealed (
    key_id text NOT NULL,
    stream text NOT NULL,
    PRIMARY KEY (key_id, stream)
);
