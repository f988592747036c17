"""SQLite: the embedded event store, documents, positions and timers."""
