"""Asking the log, and proving that nobody changed it: see ``docs/audit.md`` and ADR 26."""
