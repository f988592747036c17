"""The rules, given events, when a command, then events."""
