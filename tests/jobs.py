"""Batch jobs for tests: definitions in few words."""

from datetime import datetime, timedelta
from typing import Any

from application.jobs import Jobs
from application.ports import PublicMessage
from domain.job import JobDefinition, JobFired, JobPolicy, JobRunPublished, Schedule
from domain.job.policy import DEFAULT_DEADLINE_SECONDS
from domain.lease import Lease
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


class Broker:
    """Confirms everything, and remembers under which id."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def publish(self, message: PublicMessage, lease: Lease) -> None:
        """Take a message."""
        self.ids.append(message.id)


def jobs(*names: str) -> Jobs:
    """Jobs of those names, or the one."""
    return Jobs([definition(name) for name in names or (JOB,)])


def fired(run: str = "run-1", *, job: str = JOB, **fields: Any) -> JobFired:
    """A trigger by hand, unless the fields say otherwise; there is a deadline."""
    given = {
        "triggered_by": "manual",
        "fired_at": NOW,
        "metadata": {},
        "deadline_seconds": DEADLINE.total_seconds(),
    }
    return JobFired(job=job, run_id=run, **{**given, **fields})


def published(run: str = "run-1", *, at: datetime = NOW, **fields: Any) -> JobRunPublished:
    """The broker has a run's trigger; there is a deadline."""
    given = {"published_at": at, "deadline_at": at + DEADLINE}
    return JobRunPublished(job=JOB, run_id=run, **{**given, **fields})


def fired_by_cron(run: str = "run-1", **fields: Any) -> JobFired:
    """A trigger of cron's."""
    given = {"triggered_by": "scheduler", "nominal_at": after(seconds=-5)}
    return fired(run, **{**given, **fields})
