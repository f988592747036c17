"""Personal fields of stored events: sealed under keys that can be destroyed."""
