"""Who belongs to which group: from what is configured, or from user-management."""
