"""What is true and allowed: aggregates, their events, values, rules, errors. Pure."""
