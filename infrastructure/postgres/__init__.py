"""PostgreSQL: the shared event store, positions and timers."""
