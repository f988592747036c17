"""The settings, and the composition root, where everything is put together."""
