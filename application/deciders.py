"""Load, decide, append: for all commands that come at the same time, with one read and one commit."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from math import inf
from time import monotonic
from typing import Any

import msgspec
from eventsourcing.persistence import IntegrityError

from application.event_log import Append, EventLog, Ids, failures_translated, position_of
from application.log_batches import size_of
from application.pasts import Events, Evolve, Past, Pasts
from application.workers import NotBegun
from domain.errors import IdempotencyKeyReused, StoreUnavailable, VersionMismatch
from domain.event import Event, Metadata, Recorded

_MAX_ATTEMPTS = 100


class Committed(msgspec.Struct, frozen=True):
    """The outcome of a command: the stream as it is now, and the new events.

    ``version`` is the version after the command. That is the present one, unless the command was repeated:
    then the answer is that of the first time. ``ids`` are those of the new events. ``stored`` are the new
    events as a reader finds them, made from the ``size`` bytes that were stored, as everything is that is
    derived from the log; it is empty if they could not be read.
    """

    stream: str
    past: Past
    new: Events
    position: str
    version: int
    ids: Ids = ()
    stored: Events = ()
    size: int = 0


class Decider(msgspec.Struct, frozen=True):
    """A command as the log sees it: pure functions over the past of one stream.

    If the stream already holds the command's id, it has been handled, and nothing is decided again.
    """

    stream: str
    evolve: Evolve
    decide: Callable[[Any], Sequence[Event]]
    meta: Metadata
    now: datetime
    expected_version: int | None
    keeps_correlation: bool = False
    """Whether the new events take the stream's correlation, because ``meta`` names none itself."""

    def decide_after(self, past: Past) -> Events:
        """Return the events to append to a past.

        Raises:
            Refusal: ``decide`` refused, ``expected_version`` is not the present one, or something else was
                asked under the same id.
        """
        if self.meta.command_id in past.commands:
            if self.meta.request_digest != past.digests.get(self.meta.command_id):
                raise IdempotencyKeyReused(
                    "the Idempotency-Key has been used for another request, or by somebody else"
                )
            return ()
        if past.version and self.expected_version not in (None, past.version):
            raise VersionMismatch(
                f"the current version is {past.version}, not the expected one",
                {"version": past.version},
            )
        meta = self.meta
        if self.keeps_correlation and past.correlation_id:
            meta = msgspec.structs.replace(meta, correlation_id=past.correlation_id)
        return tuple(
            Recorded(stream=self.stream, version=version, timestamp=self.now, meta=meta, event=event)
            for version, event in enumerate(self.decide(past.state), start=past.version + 1)
        )


Answer = Committed | Exception


def decide_together(
    log: EventLog, pasts: Pasts, deciders: Sequence[Decider], *, seconds: float = inf
) -> Sequence[Answer]:
    """Return the outcome of each command, in their order.

    The commands of one stream are decided one after the other, each on the outcome of the one before it, and
    appended together: if the append fails, all of them fail. If another writer appends in between, the stream
    is read and decided again. A command that raises does not affect the others.

    Once deciding has taken so many ``seconds``, what was decided is appended, and the answer to the rest is
    :class:`NotBegun`. The first is always decided, and so is the first of those that lose against another
    writer.
    """
    time = _Time(seconds)
    try:
        with failures_translated():
            return _decide_together(log, pasts, deciders, time)
    except StoreUnavailable as error:
        return [StoreUnavailable(str(error)) for _ in deciders]
    except Exception as error:
        if len(deciders) == 1:
            return [error]
        time = _Time(seconds)
        return [_decided_alone(log, pasts, decider, time) for decider in deciders]


def _decided_alone(log: EventLog, pasts: Pasts, decider: Decider, time: "_Time") -> Answer:
    if not time.allows_another():
        return NotBegun()
    with time.passing():
        return decide_together(log, pasts, [decider])[0]


class _Time:
    """How long commands may be decided together. Reads and appends do not count: a slow store is no reason to
    leave a command for later, on which another writer would win again."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._one_at_least = True

    @property
    def is_over(self) -> bool:
        """Whether the rest is left for later."""
        return self._left <= 0

    def allow_one_at_least(self) -> None:
        """Let the first of these be decided, too: it may be the one that has waited longest."""
        self._one_at_least = True

    def allows_another(self) -> bool:
        """Return whether to decide one more."""
        allows, self._one_at_least = self._one_at_least or not self.is_over, False
        return allows

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Count the time of the block."""
        began = monotonic()
        try:
            yield
        finally:
            self._left -= monotonic() - began


def _decide_together(
    log: EventLog, pasts: Pasts, deciders: Sequence[Decider], time: _Time
) -> Sequence[Answer]:
    answers: dict[int, Answer] = {}
    undecided: dict[str, dict[int, Decider]] = {}
    for number, decider in enumerate(deciders):
        undecided.setdefault(decider.stream, {})[number] = decider
    decide, next_ones = _decisions, undecided
    for _ in range(_MAX_ATTEMPTS):
        switches = log.ours.switches
        pasts.forget_what_is_past()
        decisions = decide(pasts, next_ones, time)
        lost = {decision.stream for decision in decisions}
        for decision in _append(log, pasts, decisions, switches):
            lost.discard(decision.stream)
            answers.update(decision.answers)
            for number in decision.answers:
                del undecided[decision.stream][number]
            if not undecided[decision.stream]:
                del undecided[decision.stream]
        next_ones = {stream: undecided[stream] for stream in lost} if time.is_over else undecided
        if not next_ones:
            break
        decide = _fresh_decisions
    for stream, numbers in undecided.items():
        busy = StoreUnavailable(f"{stream} is too busy: {_MAX_ATTEMPTS} appends lost the race")
        answers.update(dict.fromkeys(numbers, NotBegun() if time.is_over else busy))
    return [answers[number] for number in range(len(deciders))]


class _Decision:
    """What the commands of one stream have decided, each after the one before it, as far as there is
    time."""

    def __init__(
        self, stream: str, past: Past | Exception, deciders: Mapping[int, Decider], time: _Time
    ) -> None:
        self.stream = stream
        self.new: Events = ()
        self.answers: dict[int, Answer] = {}
        self._past = past
        self._changes: dict[int, tuple[Past, Events, int]] = {}
        for number, decider in deciders.items():
            if not time.allows_another():
                break
            with time.passing():
                self._decide(number, decider)

    @property
    def is_empty(self) -> bool:
        """Whether there was no time for any of them."""
        return not self.answers and not self._changes

    @property
    def changes_with_every_command(self) -> bool:
        """Whether an append will prove for every answer that the past was the present one."""
        return not self.answers and all(new for _, new, _ in self._changes.values())

    def commit(
        self, ids: Ids, append: Append, stored: Events, head: Callable[[str], str], pasts: Pasts
    ) -> None:
        """Answer all commands, and remember the stream for the next one. ``ids`` are those of the new events,
        and ``stored`` are these events as they will be read."""
        assert len(ids) == len(self.new), "each event has an id"
        begun = 0
        for number, (past, new, version) in self._changes.items():
            theirs = slice(begun, begun + len(new))
            begun += len(new)
            position = position_of(ids[theirs][-1], self.stream, version) if new else head(self.stream)
            self.answers[number] = Committed(
                self.stream,
                past,
                new,
                position,
                version,
                ids[theirs],
                stored[theirs],
                size_of(append[theirs]),
            )
        if self.new and isinstance(self._past, Past):
            size = self._past.size + size_of(append)
            pasts.remember(self.stream, msgspec.structs.replace(self._past, size=size))

    def fail(self, error: Exception) -> None:
        """Answer all commands that nothing was appended, including those that were refused because of earlier
        ones."""
        self.answers = dict.fromkeys([*self.answers, *self._changes], error)

    def _decide(self, number: int, decider: Decider) -> None:
        try:
            if isinstance(self._past, Exception):
                raise self._past
            new = decider.decide_after(self._past)
            self._past = self._past.then(new, decider.evolve)
        except Exception as error:
            self.answers[number] = error
            return
        self.new += new
        version = self._past.commands.get(decider.meta.command_id, self._past.version)
        self._changes[number] = self._past, new, version


def _decisions(
    pasts: Pasts, undecided: Mapping[str, Mapping[int, Decider]], time: _Time
) -> Sequence[_Decision]:
    """Decide on what is remembered if the append will show whether that is still true. What is refused, or
    changes nothing, is decided on the present state of the log."""
    decisions = {}
    for stream, deciders in undecided.items():
        past = pasts.remembered(stream)
        if past is not None:
            decision = _Decision(stream, past, deciders, time)
            if decision.changes_with_every_command:
                decisions[stream] = decision
    rest = {stream: deciders for stream, deciders in undecided.items() if stream not in decisions}
    decided = [decision for decision in decisions.values() if not decision.is_empty]
    return [*decided, *(_fresh_decisions(pasts, rest, time) if rest else ())]


def _fresh_decisions(
    pasts: Pasts, undecided: Mapping[str, Mapping[int, Decider]], time: _Time
) -> Sequence[_Decision]:
    """Decide on a fresh read of the log."""
    time.allow_one_at_least()
    wanted = {stream: next(iter(deciders.values())).evolve for stream, deciders in undecided.items()}
    read = pasts.read(wanted)
    decisions = [_Decision(stream, read[stream], undecided[stream], time) for stream in wanted]
    return [decision for decision in decisions if not decision.is_empty]


def _append(
    log: EventLog, pasts: Pasts, decisions: Sequence[_Decision], switches: int
) -> Sequence[_Decision]:
    """Append what was decided, and return the decisions that were stored. The others failed because another
    writer has changed their streams, or because the log is another one than when it had so many ``switches``.
    """
    changing = [decision for decision in decisions if decision.new]
    outcomes: dict[str, Ids | Exception] = {}
    appends = {decision.stream: [log.stored(recorded) for recorded in decision.new] for decision in changing}
    if appends:
        outcomes.update(zip(appends, log.ours.append_together(list(appends.values()), switches), strict=True))
    head = cache(log.head_for)
    standing = []
    for decision in decisions:
        outcome = outcomes.get(decision.stream, ())
        if isinstance(outcome, IntegrityError):
            continue
        if isinstance(outcome, Exception):
            decision.fail(outcome)
        else:
            append = appends.get(decision.stream, [])
            decision.commit(outcome, append, _read_back(log, append), head, pasts)
        standing.append(decision)
    return standing


def _read_back(log: EventLog, append: Append) -> Events:
    """Return what was appended as a reader will find it, or nothing if it cannot be read. The reader then
    reports why."""
    try:
        return log.all_recorded(append)
    except Exception:
        return ()
