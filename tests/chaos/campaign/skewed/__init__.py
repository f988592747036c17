"""Laid in front of the modules of a process whose clock is skewed."""
