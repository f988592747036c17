"""Which groups people are in: from the configuration, or from user-management."""
