"""The in-process bus of the embedded mode."""
