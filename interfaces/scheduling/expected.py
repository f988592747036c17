"""By when a job is to have succeeded again: what an alarm compares with the time of now."""

from datetime import datetime, timedelta
from functools import cache

from domain.job import JobDefinition, JobPolicy
from interfaces.scheduling.cron import UnixCron
from interfaces.scheduling.job_health import JobStanding

LONGEST_RETRYING = timedelta(days=31)
"""Whoever asks for a try a day for a century does not want to wait so long for the alarm."""


def success_due_at(definition: JobDefinition, schedule: UnixCron, standing: JobStanding) -> datetime | None:
    """When there has to be another success, or nothing while none is expected.

    A period of cron's is no number: five fields may mean a minute here and a weekend there. So the schedule
    itself is asked. The firing that no success has come after has its time, which the job's own rules give
    it; before there is one, the next that is due after whatever was last: a success, the pause's end, or the
    moment from which the clock is watched by this schedule. So an alarm does not hang on anything firing.
    """
    health = standing.health
    if not definition.enabled or health.paused:
        return None
    allowed = allowed_time(definition.policy)
    if health.firing_since is not None:
        return health.firing_since + allowed
    known = (health.last_success_at, health.resumed_at, standing.watched_until)
    since = max((each for each in known if each is not None), default=None)
    return None if since is None else schedule.next_after(since) + allowed


@cache
def allowed_time(policy: JobPolicy) -> timedelta:
    """How long after its nominal time a run may succeed by the job's rules, with every try that it has."""
    deadline, retries = timedelta(seconds=policy.deadline_seconds), policy.retries
    trying_again = timedelta()
    for attempt in range(2, retries.attempts + 1):
        trying_again += retries.pause_before(attempt) + deadline
        if trying_again > LONGEST_RETRYING:
            break
    return timedelta(seconds=policy.jitter_seconds) + deadline + min(trying_again, LONGEST_RETRYING)
