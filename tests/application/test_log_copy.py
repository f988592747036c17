"""A copy is what it was a copy of, or there is none."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from application.log_copy import (
    CannotCopy,
    Digest,
    Entry,
    FollowerPosition,
    KeptAnchor,
    copy,
    entries_of,
    step_calls_of,
    timers_of,
)
from application.ports import StepCall, Timer
from tests.application.test_http_requests import call
from tests.builders import NOW, metadata

pytestmark = pytest.mark.anyio

ENTRIES = [Entry(id * 3, f"t/job/{id % 2}", id // 2 + 1, "job.fired", b'{"n":%d}' % id) for id in range(8)]
POSITIONS = [FollowerPosition("outbox", "log", "log-21-abc"), FollowerPosition("policy", "log", "log-18-def")]
TIMERS = [
    Timer(id=id, due_at=NOW, kind="step-deadline", payload={"attempt": 1}, meta=metadata(command_id=id))
    for id in "abc"
]

STEP_CALLS = [
    msgspec.structs.replace(call({"path": "/v1"}, {"a": 1}), id=f"call-{number}") for number in range(2)
]

Tampering = Callable[[list[Entry]], list[Entry]]


ANCHORS = [KeptAnchor("a", 4, b"{}", True), KeptAnchor("b", 1, b"{}", False)]


class MemoryLog:
    """Both sides of a store. ``tamper`` is what becomes of events that are written."""

    leaves_a_half = False

    def __init__(self, entries: Sequence[Entry] = (), *, tamper: Tampering = lambda entries: entries) -> None:
        self.entries = list(entries)
        self.kept_positions = list(POSITIONS) if entries else []
        self.kept_timers = list(TIMERS) if entries else []
        self.kept_step_calls = list(STEP_CALLS) if entries else []
        self.kept_anchors = list(ANCHORS) if entries else []
        self.counted: int | None = None
        self.batch = 3
        self.is_finished = False
        self._tamper = tamper

    @property
    def written(self) -> "MemoryLog":
        return self

    async def count(self) -> int:
        return len(self.entries) if self.counted is None else self.counted

    async def events(self) -> AsyncGenerator[Sequence[Entry], None]:
        for start in range(0, len(self.entries), self.batch):
            yield self.entries[start : start + self.batch]

    async def positions(self) -> Sequence[FollowerPosition]:
        return self.kept_positions

    async def timers(self) -> AsyncGenerator[Sequence[Timer], None]:
        for timer in self.kept_timers:
            yield [timer]

    async def step_calls(self) -> AsyncGenerator[Sequence[StepCall], None]:
        for each in self.kept_step_calls:
            yield [each]

    async def begin(self) -> int:
        return await self.count()

    async def anchors(self) -> Sequence[KeptAnchor]:
        return self.kept_anchors

    async def put_anchors(self, anchors: Sequence[KeptAnchor]) -> None:
        self.kept_anchors = list(anchors)

    async def put_events(self, batches: AsyncIterator[Sequence[Entry]]) -> None:
        self.entries = self._tamper([entry async for batch in batches for entry in batch])

    async def put_positions(self, positions: Sequence[FollowerPosition]) -> None:
        self.kept_positions = list(positions)

    async def put_timers(self, batches: AsyncIterator[Sequence[Timer]]) -> None:
        self.kept_timers = [timer async for batch in batches for timer in batch]

    async def put_step_calls(self, batches: AsyncIterator[Sequence[StepCall]]) -> None:
        self.kept_step_calls = [each async for batch in batches for each in batch]

    async def finish(self) -> None:
        self.is_finished = True


class Passes:
    """The passes over events that were shown, and how far each came."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int]] = []

    @contextmanager
    def __call__(self, doing: str, events: int) -> Iterator[Callable[[int], None]]:
        sizes: list[int] = []
        yield sizes.append
        self.seen.append((doing, events, sum(sizes)))


async def digest_of(entries: Sequence[Entry], batch: int = 3) -> Digest:
    """The digest of a log, as a copy of it tells."""
    source = MemoryLog(entries)
    source.batch = batch
    return (await copy(source, MemoryLog(), Passes())).source


def changed(number: int, **fields: Any) -> list[Entry]:
    """The entries, one of them changed."""
    return [
        msgspec.structs.replace(entry, **fields) if index == number else entry
        for index, entry in enumerate(ENTRIES)
    ]


async def test_a_copy_holds_the_same_events_under_the_same_ids_with_what_lies_beside_them() -> None:
    target, passes = MemoryLog(), Passes()
    copied = await copy(MemoryLog(ENTRIES), target, passes)
    assert target.entries == ENTRIES
    assert target.kept_positions == copied.positions == POSITIONS
    assert target.kept_timers == TIMERS
    assert target.kept_step_calls == STEP_CALLS
    assert target.is_finished
    assert copied.source == copied.target
    assert (copied.source.count, copied.timers, copied.step_calls, copied.was_there) == (8, 3, 2, False)
    assert passes.seen == [("copying", 8, 8), ("verifying", 8, 8)]


async def test_an_empty_log_is_copied_too() -> None:
    target = MemoryLog()
    assert (await copy(MemoryLog(), target, Passes())).target.count == 0
    assert target.is_finished


async def test_the_hash_does_not_depend_on_how_the_log_is_cut_into_batches() -> None:
    assert await digest_of(ENTRIES, batch=1) == await digest_of(ENTRIES, batch=8)


@pytest.mark.parametrize(
    "others",
    [
        changed(4, id=13),
        changed(4, stream="t/job/2"),
        changed(4, version=9),
        changed(4, topic="job.fires"),
        changed(4, state=b'{"n":5}'),
        changed(4, stream="t/job/0j", topic="ob.fired"),
        ENTRIES[:4] + ENTRIES[5:],
        [*ENTRIES[:4], ENTRIES[5], ENTRIES[4], *ENTRIES[6:]],
        [*ENTRIES, ENTRIES[-1]],
    ],
    ids=["id", "stream", "version", "topic", "one byte", "a border", "missing", "swapped", "twice"],
)
async def test_whatever_is_different_has_another_digest(others: list[Entry]) -> None:
    assert await digest_of(others) != await digest_of(ENTRIES)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda entries: changed(7, state=b'{"n":8}'),
        lambda entries: entries[:-1],
        lambda entries: [entries[1], entries[0], *entries[2:]],
        lambda entries: [],
    ],
    ids=["one byte", "missing", "swapped", "nothing"],
)
async def test_what_did_not_arrive_as_it_was_is_found_and_not_finished(tamper: Tampering) -> None:
    target = MemoryLog(tamper=tamper)
    with pytest.raises(CannotCopy, match=r"nothing was kept.*8 events, sha256 .* the target held"):
        await copy(MemoryLog(ENTRIES), target, Passes())
    assert not target.is_finished


async def test_a_source_that_gives_fewer_events_than_it_counts_is_found() -> None:
    source, target = MemoryLog(ENTRIES), MemoryLog()
    source.counted = 9
    with pytest.raises(CannotCopy, match="of 9 events the source gave 8 events"):
        await copy(source, target, Passes())
    assert not target.is_finished


@pytest.mark.parametrize("lost", ["kept_positions", "kept_timers"])
async def test_positions_or_timers_that_did_not_arrive_are_found(lost: str) -> None:
    class Forgetful(MemoryLog):
        async def put_timers(self, batches: AsyncIterator[Sequence[Timer]]) -> None:
            await super().put_timers(batches)
            setattr(self, lost, getattr(self, lost)[1:])

    target = Forgetful()
    with pytest.raises(CannotCopy, match="positions or the timers did not arrive"):
        await copy(MemoryLog(ENTRIES), target, Passes())
    assert not target.is_finished


async def test_steps_calls_that_did_not_arrive_are_found() -> None:
    class Forgetful(MemoryLog):
        async def put_step_calls(self, batches: AsyncIterator[Sequence[StepCall]]) -> None:
            await super().put_step_calls(batches)
            self.kept_step_calls.pop()

    target = Forgetful()
    with pytest.raises(CannotCopy, match="steps' calls did not arrive"):
        await copy(MemoryLog(ENTRIES), target, Passes())
    assert not target.is_finished


async def test_anchors_that_did_not_arrive_are_found() -> None:
    class Forgetful(MemoryLog):
        async def put_anchors(self, anchors: Sequence[KeptAnchor]) -> None:
            await super().put_anchors(anchors[1:])

    target = Forgetful()
    with pytest.raises(CannotCopy, match="the anchors did not arrive"):
        await copy(MemoryLog(ENTRIES), target, Passes())
    assert not target.is_finished


async def test_what_lay_in_an_empty_target_is_replaced() -> None:
    target = MemoryLog()
    target.kept_positions = [FollowerPosition("outbox", "log", "log-1-of another")]
    target.kept_timers = [msgspec.structs.replace(TIMERS[0], id="of another")]
    await copy(MemoryLog(ENTRIES), target, Passes())
    assert (target.kept_positions, target.kept_timers) == (POSITIONS, TIMERS)


async def test_where_the_same_log_is_there_already_it_is_verified_and_nothing_is_written() -> None:
    target = MemoryLog(ENTRIES)
    target.kept_positions = [FollowerPosition(each.follower, "log", "log-24-later") for each in POSITIONS]
    copied = await copy(MemoryLog(ENTRIES), target, Passes())
    assert copied.was_there
    assert copied.source == copied.target
    assert copied.positions == target.kept_positions
    assert not target.is_finished


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (ENTRIES[:3], "holds 3 events already, and the source 8"),
        ([*ENTRIES, ENTRIES[-1]], "holds 9 events already, and the source 8"),
        (changed(0, state=b"{}"), "holds another log already: it has 8 events, sha256"),
    ],
    ids=["fewer", "more", "others"],
)
async def test_a_target_that_holds_anything_else_is_refused_and_left_alone(
    held: list[Entry], said: str
) -> None:
    target = MemoryLog(held)
    with pytest.raises(CannotCopy, match=said):
        await copy(MemoryLog(ENTRIES), target, Passes())
    assert target.entries == held


async def test_the_same_events_without_the_position_of_the_outbox_are_no_copy() -> None:
    target = MemoryLog(ENTRIES)
    target.kept_positions = POSITIONS[1:]
    with pytest.raises(CannotCopy, match="no position of outbox"):
        await copy(MemoryLog(ENTRIES), target, Passes())


@pytest.mark.parametrize(
    "row",
    [(12, "s", 1, "t", "text"), (12, "s", 1, None, b""), (12, "s", "1", "t", b""), (12, "s", 1, "t")],
)
def test_a_row_that_the_service_has_not_written_is_told_with_its_place(row: tuple[Any, ...]) -> None:
    with pytest.raises(CannotCopy, match=r"^events\.db: an event between the ids 11 and 12 is damaged"):
        entries_of([(11, "s", 1, "t", b""), row], "events.db")


@pytest.mark.parametrize("stored", [b"{", b"{}", None])
def test_a_timer_that_is_damaged_is_told(stored: Any) -> None:
    with pytest.raises(CannotCopy, match=r"^events\.db: a timer is damaged"):
        timers_of([stored], "events.db")


@pytest.mark.parametrize("stored", [b"{", b"{}", None])
def test_a_steps_call_that_is_damaged_is_told(stored: Any) -> None:
    with pytest.raises(CannotCopy, match=r"^events\.db: a step's call is damaged"):
        step_calls_of([stored], "events.db")
