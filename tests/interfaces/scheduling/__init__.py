"""Tests of cron and the job scheduler."""
