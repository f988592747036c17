"""deploy/: held against the tools' own schemas and against the service, and tried out as far as it goes."""
