"""What will become of a job's next firings, and what catch-up would do now. Nothing is changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from domain.event import Event
from domain.job import (
    BatchJob,
    JobDefinition,
    JobRunScheduled,
    JobRunSkipped,
    evolve,
    fire,
    paused,
    run_id,
    unseen,
)
from interfaces.scheduling.catch_up import caught_up
from interfaces.scheduling.cron import UnixCron

Action = Literal["fire", "wait", "skip", "miss"]


class PlannedFiring(msgspec.Struct, frozen=True):
    """A nominal time, when its trigger would go out, and what would become of it."""

    nominal_at: datetime
    due_at: datetime
    action: Action
    reason: str | None = None


class Preview(msgspec.Struct, frozen=True):
    """The next firings, and the missed ones, each the soonest first."""

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
    """Return the next ``count`` firings after ``start``, and what catch-up would do at ``now``.

    Catch-up is tried on the job's present state. It is not known beforehand whether a run will be open when a
    later firing comes, so what the overlap rule would do is not shown.
    """
    if not definition.enabled:
        return Preview((), ())
    upcoming = [_planned(definition, state, each) for each in schedule.upcoming(max(start, now), count)]
    if watched_until is None:
        return Preview(upcoming, ())
    return Preview(upcoming, _tried_out(definition, schedule, state, watched_until, now))


def _planned(definition: JobDefinition, state: BatchJob | None, nominal_at: datetime) -> PlannedFiring:
    due_at = definition.policy.due_at(definition.name, nominal_at)
    if state is not None and state.pause is not None:
        return PlannedFiring(nominal_at, due_at, "skip", paused(state.pause))
    return PlannedFiring(nominal_at, due_at, "fire")


def _tried_out(
    definition: JobDefinition,
    schedule: UnixCron,
    state: BatchJob | None,
    watched_until: datetime,
    now: datetime,
) -> Sequence[PlannedFiring]:
    passed = caught_up(definition, schedule, watched_until, now=now)
    told = [
        PlannedFiring(each, each, "miss", unseen(each))
        for each in passed.missed
        if state is None or not state.has_come(run_id(definition.name, each), each, now=now)
    ]
    for nominal_at in passed.fired:
        for event in fire(state, definition, nominal_at, now=now):
            state = evolve(state, event)
            told.append(_outcome(definition, nominal_at, event, now))
    return sorted(told, key=lambda each: each.nominal_at)


def _outcome(definition: JobDefinition, nominal_at: datetime, event: Event, now: datetime) -> PlannedFiring:
    due_at = max(definition.policy.due_at(definition.name, nominal_at), now)
    match event:
        case JobRunSkipped():
            return PlannedFiring(nominal_at, due_at, "skip", event.reason)
        case JobRunScheduled(waits_for="open_run"):
            return PlannedFiring(nominal_at, due_at, "wait", "a run is still open")
    return PlannedFiring(nominal_at, due_at, "fire")
