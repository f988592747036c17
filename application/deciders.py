"""Load, decide, append: for all commands that come at the same time in one look and one commit."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from eventsourcing.persistence import IntegrityError, StoredEvent

from application.event_log import EventLog, Ids, failures_translated, position_of
from domain.errors import StoreUnavailable, VersionMismatch
from domain.event import Event, Metadata, Recorded

_MAX_ATTEMPTS = 100

Events = tuple[Recorded, ...]


class Committed(msgspec.Struct, frozen=True):
    """What became of a command: the stream as it now stands, and how much of it is new."""

    stream: str
    events: Events
    new: Events
    position: str

    @property
    def version(self) -> int:
        """The stream's present version."""
        return len(self.events)


class Decider(msgspec.Struct, frozen=True):
    """A command as the log sees it: pure functions over one stream's past.

    A command whose id the stream already holds has been handled: nothing is decided again.
    """

    stream: str
    evolve: Callable[[Any, Event], Any]
    decide: Callable[[Any], Sequence[Event]]
    meta: Metadata
    now: datetime
    expected_version: int | None

    def decide_after(self, past: Events) -> Events:
        """The events to append to a past.

        Raises:
            Refusal: ``decide`` refused, or ``expected_version`` is not the present one.
        """
        if any(recorded.meta.command_id == self.meta.command_id for recorded in past):
            return ()
        if past and self.expected_version not in (None, len(past)):
            raise VersionMismatch(
                f"the present version is {len(past)}, not the one that was expected", {"version": len(past)}
            )
        state = None
        for recorded in past:
            state = self.evolve(state, recorded.event)
        return tuple(
            Recorded(stream=self.stream, version=version, timestamp=self.now, meta=self.meta, event=event)
            for version, event in enumerate(self.decide(state), start=len(past) + 1)
        )


Answer = Committed | Exception


def decide_together(log: EventLog, deciders: Sequence[Decider]) -> Sequence[Answer]:
    """What became of each command, in their order.

    Those of one stream are decided one after the other, each on what the one before it decided, and appended
    together: all of them fall with an append. Another writer's append in between means a fresh load and a
    fresh decision. What one command breaks is not the others' fault.
    """
    try:
        with failures_translated():
            return _decide_together(log, deciders)
    except StoreUnavailable as error:
        return [StoreUnavailable(str(error)) for _ in deciders]
    except Exception as error:
        if len(deciders) == 1:
            return [error]
        return [answer for decider in deciders for answer in decide_together(log, [decider])]


def _decide_together(log: EventLog, deciders: Sequence[Decider]) -> Sequence[Answer]:
    answers: dict[int, Answer] = {}
    undecided: dict[str, list[int]] = {}
    for number, decider in enumerate(deciders):
        undecided.setdefault(decider.stream, []).append(number)
    for _ in range(_MAX_ATTEMPTS):
        for decision in _attempt(log, deciders, undecided):
            answers.update(decision.answers)
            del undecided[decision.stream]
        if not undecided:
            break
    for stream, numbers in undecided.items():
        for number in numbers:
            answers[number] = StoreUnavailable(f"{stream} is too busy: {_MAX_ATTEMPTS} appends lost the race")
    return [answers[number] for number in range(len(deciders))]


class _Decision:
    """What the commands of one stream decided, one on the other."""

    def __init__(self, stream: str, past: Events | Exception) -> None:
        self.stream = stream
        self.answers: dict[int, Answer] = {}
        self._unreadable = past if isinstance(past, Exception) else None
        self._events: Events = () if isinstance(past, Exception) else past
        self._past = len(self._events)
        self._changes: dict[int, tuple[Events, Events]] = {}

    @property
    def new(self) -> Events:
        """What is to be appended."""
        return self._events[self._past :]

    def decide(self, number: int, decider: Decider) -> None:
        """Take one more command."""
        try:
            if self._unreadable is not None:
                raise self._unreadable
            new = decider.decide_after(self._events)
        except Exception as error:
            self.answers[number] = error
            return
        self._events += new
        self._changes[number] = self._events, new

    def commit(self, ids: Ids, head: Callable[[], str]) -> None:
        """Answer everybody; ``ids`` are those of the new events."""
        for number, (events, new) in self._changes.items():
            if new:
                version = len(events)
                position = position_of(ids[version - self._past - 1], self.stream, version)
            else:
                position = head()
            self.answers[number] = Committed(self.stream, events, new, position)

    def fail(self, error: Exception) -> None:
        """Answer everybody that nothing was appended, also who was refused on the strength of it."""
        self.answers = dict.fromkeys([*self.answers, *self._changes], error)


def _attempt(
    log: EventLog, deciders: Sequence[Decider], undecided: Mapping[str, Sequence[int]]
) -> Sequence[_Decision]:
    """One look and one append; the decisions that stand. Another writer has changed the others' streams."""
    decisions = [_Decision(stream, past) for stream, past in _load(log, undecided)]
    for decision in decisions:
        for number in undecided[decision.stream]:
            decision.decide(number, deciders[number])
    changing = [decision for decision in decisions if decision.new]
    outcomes = _append(log, changing)
    head = cache(log.head)
    standing = []
    for decision in decisions:
        outcome = outcomes.get(decision.stream, ())
        if isinstance(outcome, IntegrityError):
            continue
        if isinstance(outcome, Exception):
            decision.fail(outcome)
        else:
            decision.commit(outcome, head)
        standing.append(decision)
    return standing


def _load(log: EventLog, streams: Collection[str]) -> Iterator[tuple[str, Events | Exception]]:
    """Each stream with its events, or with why they cannot be read."""
    stored: dict[str, list[StoredEvent]] = {stream: [] for stream in streams}
    for each in log.many_streams.select_streams(list(streams)):
        stored[str(each.originator_id)].append(each)
    for stream, events in stored.items():
        try:
            yield stream, tuple(map(log.recorded, events))
        except Exception as error:
            yield stream, error


def _append(log: EventLog, decisions: Sequence[_Decision]) -> dict[str, Ids | Exception]:
    """The ids of each stream's new events, or why there are none."""
    if not decisions:
        return {}
    appends = [[log.stored(recorded) for recorded in decision.new] for decision in decisions]
    outcomes = log.many_streams.append_together(appends)
    return {decision.stream: outcome for decision, outcome in zip(decisions, outcomes, strict=True)}
