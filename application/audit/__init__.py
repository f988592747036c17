"""Queries the log, and proves that nobody changed it: see ``docs/audit.md`` and ADR 26."""
