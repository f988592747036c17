"""Short definitions of batch jobs for tests."""

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
    """Return a job. Other arguments are members of its policy."""
    return JobDefinition(
        name=name,
        schedule=Schedule(cron=cron, time_zone=zone),
        enabled=enabled,
        policy=JobPolicy(**policy),
    )


class Broker:
    """Confirms all messages, and records their IDs."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def publish(self, message: PublicMessage, lease: Lease) -> None:
        """Record a message."""
        self.ids.append(message.id)


def jobs(*names: str) -> Jobs:
    """Return jobs with these names, by default one job."""
    return Jobs([definition(name) for name in names or (JOB,)])


def fired(run: str = "run-1", *, job: str = JOB, **fields: Any) -> JobFired:
    """Return the event of a trigger, by default a manual one, with a deadline."""
    given = {
        "triggered_by": "manual",
        "fired_at": NOW,
        "metadata": {},
        "deadline_seconds": DEADLINE.total_seconds(),
    }
    return JobFired(job=job, run_id=run, **{**given, **fields})


def published(run: str = "run-1", *, at: datetime = NOW, **fields: Any) -> JobRunPublished:
    """Return the event that the broker has a run's trigger, with a deadline."""
    given = {"published_at": at, "deadline_at": at + DEADLINE}
    return JobRunPublished(job=JOB, run_id=run, **{**given, **fields})


def fired_by_cron(run: str = "run-1", **fields: Any) -> JobFired:
    """Return the event of a trigger by cron."""
    given = {"triggered_by": "scheduler", "nominal_at": after(seconds=-5)}
    return fired(run, **{**given, **fields})
