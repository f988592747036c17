-- Who does what one instance at a time does. A row stays when its lease has ended, so that fences never go back.

CREATE TABLE leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    fence bigint NOT NULL,
    expires_at timestamptz NOT NULL
);
