"""What is finished goes to files, and what proves it stays: see ``docs/audit.md`` and ADR 28."""
