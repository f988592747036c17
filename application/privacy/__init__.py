"""Personal fields of stored events, encrypted ("sealed") with keys that can be destroyed (ADR 27)."""
