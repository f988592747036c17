"""What the rules know of a group, the rules, and how each event changes it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from domain.concurrency.events import (
    ConcurrencyEvent,
    RunEnded,
    RunReplaced,
    Start,
    StartDebounced,
    StartGranted,
    StartQueued,
    StartWithdrawn,
)
from domain.errors import TooManyWaiting, WorkflowAlreadyRunning
from domain.event import Event

MOST_WAITING = 100
"""The most starts that people have asked for and that wait in a group."""

MOST_WINDOWS = 10
"""The most debounce windows that a start waits while others keep coming after it."""

_SLACK = 0.25
"""The share of a debounce window by which a start may be early, so that a burst is a few events."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A start that waits until ``due_at``, or without it for the end of the present run."""

    start: Start
    since: datetime
    due_at: datetime | None = None


class ConcurrencyGroup(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules know of a group. Runs that may overlap are not counted."""

    group: str
    running: str | None = None
    is_replaced: bool = False
    waiting: tuple[Waiting, ...] = ()

    def waiting_for(self, workflow_id: str) -> Waiting | None:
        """Return the start of that workflow, if it waits."""
        return next((each for each in self.waiting if each.start.workflow_id == workflow_id), None)

    @property
    def coalesced(self) -> Waiting | None:
        """The one start that waits on behalf of messages."""
        return next((each for each in self.waiting if not each.start.explicit), None)


def request_start(
    state: ConcurrencyGroup | None,
    start: Start,
    *,
    group: str,
    now: datetime,
    debounce_seconds: float = 0.0,
    not_before: datetime | None = None,
) -> tuple[Event, ...]:
    """Ask for a start. Only a start that a message asks for is debounced, and held back until ``not_before``.

    Raises:
        WorkflowAlreadyRunning: an explicit start is skipped.
        TooManyWaiting: an explicit start cannot wait, because :data:`MOST_WAITING` do.
    """
    state = state or ConcurrencyGroup(group=group)
    if start.workflow_id == state.running or state.waiting_for(start.workflow_id):
        return ()
    if start.explicit:
        return tuple(_begin(state, start, now))
    waiting = state.coalesced
    if waiting is not None:
        start = msgspec.structs.replace(start, workflow_id=waiting.start.workflow_id)
        if waiting.due_at is not None:
            return _coalesced(state, waiting, waiting.due_at, start, now, debounce_seconds)
    elif debounce_seconds > 0:
        return (_debounced(state, start, now, now + timedelta(seconds=debounce_seconds)),)
    elif not_before is not None and not_before > now and (state.running is None or start.policy == "allow"):
        return (_debounced(state, start, now, not_before),)
    return tuple(_begin(state, start, now))


def pass_debounce(state: ConcurrencyGroup, workflow_id: str, *, now: datetime) -> tuple[Event, ...]:
    """Start what has waited for its time, unless that is another time by now."""
    waiting = state.waiting_for(workflow_id)
    if waiting is None or waiting.due_at is None or now < waiting.due_at:
        return ()
    return tuple(_begin(state, waiting.start, now))


def end_run(state: ConcurrencyGroup, workflow_id: str, *, now: datetime) -> tuple[Event, ...]:
    """Note that a workflow has ended, so that the next may start. One that waited is withdrawn. Any other
    changes nothing."""
    waiting = state.waiting_for(workflow_id)
    if waiting is not None:
        return (_withdrawn(state, waiting, now),)
    if state.running != workflow_id:
        return ()
    ended = RunEnded(group=state.group, workflow_id=workflow_id, ended_at=now)
    following = next((each for each in state.waiting if each.due_at is None), None)
    if following is None:
        return (ended,)
    return (ended, StartGranted(group=state.group, start=following.start, granted_at=now))


def evolve(state: ConcurrencyGroup | None, event: Event) -> ConcurrencyGroup:
    """Return the group after ``event``."""
    assert isinstance(event, ConcurrencyEvent), f"{event!r} is no event of a group"
    state = state or ConcurrencyGroup(group=event.group)
    replace = msgspec.structs.replace
    match event:
        case StartGranted():
            after = replace(state, waiting=_without(state, event.start.workflow_id))
            if event.start.policy == "allow":
                return after
            return replace(after, running=event.start.workflow_id, is_replaced=False)
        case StartQueued():
            return _put(state, Waiting(start=event.start, since=event.queued_at))
        case StartDebounced():
            return _put(state, Waiting(start=event.start, since=event.since, due_at=event.due_at))
        case StartWithdrawn():
            return replace(state, waiting=_without(state, event.workflow_id))
        case RunReplaced():
            return replace(state, is_replaced=True)
        case RunEnded():
            return replace(state, running=None, is_replaced=False)


def _begin(state: ConcurrencyGroup, start: Start, now: datetime) -> Iterator[Event]:
    """Grant a start, or treat it as its policy says while another run is under way."""
    if start.policy == "allow" or state.running is None:
        yield StartGranted(group=state.group, start=start, granted_at=now)
        return
    waiting = state.waiting_for(start.workflow_id)
    if start.policy == "skip":
        if start.explicit:
            raise WorkflowAlreadyRunning(
                f"workflow {state.running} is running", {"workflowId": state.running}
            )
        if waiting is not None:
            yield _withdrawn(state, waiting, now)
        return
    if waiting is not None and waiting.due_at is None and waiting.start.asks_the_same(start):
        return
    if start.policy == "replace":
        for each in state.waiting:
            if each is not waiting:
                yield _withdrawn(state, each, now)
        if not state.is_replaced:
            yield RunReplaced(
                group=state.group, workflow_id=state.running, by=start.workflow_id, replaced_at=now
            )
    elif start.explicit and sum(each.start.explicit for each in state.waiting) >= MOST_WAITING:
        raise TooManyWaiting(
            f"{MOST_WAITING} starts are already waiting for workflow {state.running}",
            {"workflowId": state.running},
        )
    yield StartQueued(group=state.group, start=start, queued_at=now)


def _coalesced(
    state: ConcurrencyGroup,
    waiting: Waiting,
    due_at: datetime,
    start: Start,
    now: datetime,
    debounce_seconds: float,
) -> tuple[Event, ...]:
    """Return the events for a start in place of one that is not due yet: a later one, unless by a small
    difference, or one with other input."""
    window = timedelta(seconds=debounce_seconds)
    later = max(due_at, min(now + window, waiting.since + MOST_WINDOWS * window))
    if later - due_at > _SLACK * window:
        due_at = later
    elif waiting.start.asks_the_same(start):
        return ()
    return (_debounced(state, start, waiting.since, due_at),)


def _debounced(state: ConcurrencyGroup, start: Start, since: datetime, due_at: datetime) -> Event:
    return StartDebounced(group=state.group, start=start, since=since, due_at=due_at)


def _withdrawn(state: ConcurrencyGroup, waiting: Waiting, now: datetime) -> Event:
    return StartWithdrawn(
        group=state.group,
        workflow_id=waiting.start.workflow_id,
        explicit=waiting.start.explicit,
        withdrawn_at=now,
    )


def _put(state: ConcurrencyGroup, waiting: Waiting) -> ConcurrencyGroup:
    """Return the group with this start among those that wait, in the place that it has, or the last."""
    workflow_id = waiting.start.workflow_id
    if state.waiting_for(workflow_id) is None:
        return msgspec.structs.replace(state, waiting=(*state.waiting, waiting))
    changed = tuple(waiting if each.start.workflow_id == workflow_id else each for each in state.waiting)
    return msgspec.structs.replace(state, waiting=changed)


def _without(state: ConcurrencyGroup, workflow_id: str) -> tuple[Waiting, ...]:
    return tuple(each for each in state.waiting if each.start.workflow_id != workflow_id)
