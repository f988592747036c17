"""The rules of batch jobs."""
