"""Moves what has ended to files, while its proof stays: see ``docs/audit.md`` and ADR 28."""
