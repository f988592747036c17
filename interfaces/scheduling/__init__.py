"""Batch jobs by the clock: what a cron expression means, and firing each job at its nominal times."""
