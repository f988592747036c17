-- What long streams had come to: derived from the log, and may be emptied (but for what is forgotten: of these streams
-- no snapshot is kept, whoever may still have one to put here).

CREATE TABLE stream_snapshots (
    stream text PRIMARY KEY,
    version bigint NOT NULL,
    recipe text NOT NULL,
    leaf bytea NOT NULL,
    body bytea NOT NULL,
    digest bytea NOT NULL,
    forgotten boolean NOT NULL DEFAULT false
);
