"""The driven side: stores, broker, clock."""
