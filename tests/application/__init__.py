"""Storing, dispatching, publishing, timing."""
