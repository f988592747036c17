"""When this event, then that command: one module a policy."""
