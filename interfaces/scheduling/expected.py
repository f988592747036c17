"""When a job must have succeeded again: what an alarm compares with the present time."""

from datetime import datetime, timedelta
from functools import cache

from domain.job import JobDefinition, JobPolicy
from interfaces.scheduling.cron import UnixCron
from interfaces.scheduling.job_health import JobStanding

LONGEST_RETRYING = timedelta(days=31)
"""Somebody who asks for a try a day for a century does not want to wait so long for the alarm."""


def success_due_at(definition: JobDefinition, schedule: UnixCron, standing: JobStanding) -> datetime | None:
    """Return when there must be another success, or None while none is expected.

    Cron has no fixed period: five fields may mean a minute here and a weekend there. So the schedule itself
    is asked. A firing that no success has followed has as much time as the job's own rules give it. Before
    there is one, the next firing counts that is due after the last success, the end of the pause, or the time
    from which this schedule is watched, whichever was last. So the alarm does not depend on anything firing.
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
    """Return how long after its nominal time a run may succeed by the job's rules, with every try that it
    has."""
    deadline, retries = timedelta(seconds=policy.deadline_seconds), policy.retries
    trying_again = timedelta()
    for attempt in range(2, retries.attempts + 1):
        trying_again += retries.pause_before(attempt) + deadline
        if trying_again > LONGEST_RETRYING:
            break
    return timedelta(seconds=policy.jitter_seconds) + deadline + min(trying_again, LONGEST_RETRYING)
