"""What is true and allowed: aggregates, their events, values, rules, errors. All of it is pure."""
