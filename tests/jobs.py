"""Batch jobs for tests: definitions in few words."""

from datetime import timedelta
from typing import Any

from application.jobs import Jobs
from domain.job import JobDefinition, JobFired, JobPolicy, Schedule
from domain.job.policy import DEFAULT_DEADLINE_SECONDS
from tests.builders import NOW, after

JOB = "outcome-sync"

DEADLINE = timedelta(seconds=DEFAULT_DEADLINE_SECONDS)


def definition(
    name: str = JOB, cron: str = "0 1 * * *", zone: str = "UTC", *, enabled: bool = True, **policy: Any
) -> JobDefinition:
    """A job; further names are those of its policy."""
    return JobDefinition(
        name=name,
        schedule=Schedule(cron=cron, time_zone=zone),
        enabled=enabled,
        policy=JobPolicy(**policy),
    )


def jobs(*names: str) -> Jobs:
    """Jobs of those names, or the one."""
    return Jobs([definition(name) for name in names or (JOB,)])


def fired(run: str = "run-1", *, job: str = JOB, **fields: Any) -> JobFired:
    """A trigger by hand, unless the fields say otherwise; there is a deadline."""
    given = {"triggered_by": "manual", "fired_at": NOW, "metadata": {}, "deadline_at": NOW + DEADLINE}
    return JobFired(job=job, run_id=run, **{**given, **fields})


def fired_by_cron(run: str = "run-1", **fields: Any) -> JobFired:
    """A trigger of cron's."""
    given = {"triggered_by": "scheduler", "nominal_at": after(seconds=-5)}
    return fired(run, **{**given, **fields})
