"""What will become of the next firings of a job, and what catch-up would do now: nothing is done for it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from domain.job import BatchJob, JobDefinition
from interfaces.scheduling.catch_up import caught_up
from interfaces.scheduling.cron import UnixCron

Action = Literal["fire", "skip", "miss"]


class PlannedFiring(msgspec.Struct, frozen=True):
    """A nominal time, when its trigger would go out, and what would become of it."""

    nominal_at: datetime
    due_at: datetime
    action: Action
    reason: str | None = None


class Preview(msgspec.Struct, frozen=True):
    """What is to come, and what passed unseen, each the soonest first."""

    firings: Sequence[PlannedFiring]
    catch_up: Sequence[PlannedFiring]


def previewed(
    definition: JobDefinition,
    schedule: UnixCron,
    state: BatchJob | None,
    *,
    start: datetime,
    watched_until: datetime | None,
    now: datetime,
    count: int,
) -> Preview:
    """The next ``count`` firings after ``start``, and what catch-up would do at ``now``.

    Whether a run will be open when a firing comes is not known beforehand: what the overlap rule would do
    about it is not told.
    """
    if not definition.enabled:
        return Preview((), ())
    upcoming = [_planned(definition, state, each) for each in schedule.upcoming(start, count)]
    if watched_until is None:
        return Preview(upcoming, ())
    passed = caught_up(definition, schedule, watched_until, now=now)
    late = [_planned(definition, state, each) for each in passed.fired]
    missed = [PlannedFiring(each, each, "miss", "it is not made up for") for each in passed.missed]
    return Preview(upcoming, sorted([*late, *missed], key=lambda each: each.nominal_at))


def _planned(definition: JobDefinition, state: BatchJob | None, nominal_at: datetime) -> PlannedFiring:
    due_at = definition.policy.due_at(definition.name, nominal_at)
    if state is not None and state.pause is not None:
        return PlannedFiring(nominal_at, due_at, "skip", f"{state.pause.by} has paused the job")
    return PlannedFiring(nominal_at, due_at, "fire")
