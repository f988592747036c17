"""One set of cases a port, and every adapter passes it."""
