"""A slow store piles up no more than was allowed for, and keeps nobody waiting for ever."""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import anyio
import pytest

from application.workers import Workers, one_by_one
from domain.errors import StoreUnavailable

pytestmark = pytest.mark.anyio


class Frozen:
    """Work that does not end before it is thawed."""

    def __init__(self) -> None:
        self.thawed = threading.Event()
        self.begun = 0
        self.ended = 0

    def __call__(self) -> str:
        self.begun += 1
        self.thawed.wait(10)
        self.ended += 1
        return "done"


def workers(
    size: int, *, most_waiting: int, turn_seconds: float, patience_seconds: float
) -> Workers[Callable[[], Any], Any]:
    """Threads that do one thing at a time."""
    return Workers(
        one_by_one,
        size=size,
        at_once=1,
        most_waiting=most_waiting,
        turn_seconds=turn_seconds,
        patience_seconds=patience_seconds,
    )


@pytest.fixture
def frozen() -> Iterator[Frozen]:
    work = Frozen()
    yield work
    work.thawed.set()


async def until(count: int, frozen: Frozen) -> None:
    with anyio.fail_after(5):
        while frozen.begun < count:
            await anyio.sleep(0.005)


async def test_the_result_and_the_error_come_through() -> None:
    threads = workers(2, most_waiting=1, turn_seconds=5, patience_seconds=5)
    assert await threads(lambda: threading.current_thread() is not threading.main_thread())
    with pytest.raises(ZeroDivisionError):
        await threads(lambda: 1 // 0)
    for _ in range(10):
        assert await threads(lambda: 1) == 1


async def test_one_more_than_may_wait_is_turned_away_at_once(frozen: Frozen) -> None:
    threads = workers(2, most_waiting=3, turn_seconds=5, patience_seconds=5)
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(threads, frozen)
        await until(2, frozen)
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(StoreUnavailable, match="too many"):
                await threads(frozen)
        assert time.monotonic() - began < 1
        frozen.thawed.set()
    assert frozen.ended == 5
    assert await threads(lambda: "again") == "again"


async def test_nobody_waits_for_ever_and_what_has_not_begun_never_does(frozen: Frozen) -> None:
    threads = workers(1, most_waiting=5, turn_seconds=0.1, patience_seconds=0.1)
    failures = 0

    async def wait() -> None:
        nonlocal failures
        with pytest.raises(StoreUnavailable, match=r"no (answer|turn) within 0\.1 s"):
            await threads(frozen)
        failures += 1

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(wait)
    assert failures == 4
    frozen.thawed.set()
    assert await threads(lambda: "again") == "again"
    assert frozen.begun == frozen.ended == 1


async def test_who_has_had_a_turn_is_waited_for_and_who_has_not_is_not(frozen: Frozen) -> None:
    threads = workers(1, most_waiting=5, turn_seconds=0.1, patience_seconds=5)
    answers: list[str] = []

    async def first() -> None:
        answers.append(await threads(frozen))

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await until(1, frozen)
        with pytest.raises(StoreUnavailable, match="no turn"):
            await threads(frozen)
        await anyio.sleep(0.1)
        frozen.thawed.set()
    assert answers == ["done"]
    assert frozen.begun == 1


async def test_a_frozen_store_costs_no_more_threads_and_places_than_were_allowed_for(frozen: Frozen) -> None:
    threads, before = (
        workers(2, most_waiting=2, turn_seconds=0.05, patience_seconds=0.05),
        threading.active_count(),
    )
    for _ in range(12):
        with pytest.raises(StoreUnavailable):
            await threads(frozen)
    assert frozen.begun == 2
    assert threading.active_count() <= before + 2
    frozen.thawed.set()
    with anyio.fail_after(5):
        while frozen.ended < 2:
            await anyio.sleep(0.005)
    assert [await threads(lambda: number) for number in range(8)]  # noqa: B023


async def test_what_nobody_waits_for_fails_unheard(caplog: pytest.LogCaptureFixture) -> None:
    threads, go_on = workers(1, most_waiting=0, turn_seconds=0.05, patience_seconds=0.05), threading.Event()

    def fail() -> None:
        go_on.wait(5)
        raise ValueError("too late")

    with pytest.raises(StoreUnavailable):
        await threads(fail)
    go_on.set()
    await anyio.sleep(0.05)
    gc.collect()
    assert caplog.records == []


async def test_a_caller_that_is_cancelled_leaves_no_place_taken(frozen: Frozen) -> None:
    threads = workers(1, most_waiting=1, turn_seconds=5, patience_seconds=5)
    for _ in range(3):
        with anyio.move_on_after(0.02):
            await threads(frozen)
        frozen.thawed.set()
        assert await threads(lambda: 1) == 1
        frozen.thawed.clear()


async def test_when_closed_nothing_begins() -> None:
    threads = workers(1, most_waiting=1, turn_seconds=5, patience_seconds=5)
    threads.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await threads(lambda: 1)


async def test_what_comes_while_the_threads_are_at_work_is_done_together() -> None:
    batches: list[list[int]] = []
    go_on = threading.Event()
    told: list[tuple[list[int], list[int | Exception]]] = []

    def together(given: Sequence[int]) -> Sequence[int | Exception]:
        batches.append(list(given))
        if len(batches) == 1:
            go_on.wait(5)
        return [ValueError("odd") if number % 2 else number * 10 for number in given]

    tens = Workers(
        together,
        size=1,
        at_once=3,
        most_waiting=10,
        turn_seconds=5,
        patience_seconds=5,
        on_answers=lambda calls, answers: told.append((list(calls), list(answers))),
    )
    answers: dict[int, int | str] = {}

    async def ask(number: int) -> None:
        try:
            answers[number] = await tens(number)
        except ValueError as error:
            answers[number] = str(error)

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(ask, number)
            await anyio.sleep(0.005)
        go_on.set()
    assert batches == [[0], [1, 2, 3], [4, 5]]
    assert answers == {0: 0, 1: "odd", 2: 20, 3: "odd", 4: 40, 5: "odd"}
    assert [calls for calls, _ in told] == batches
    assert [len(each) for _, each in told] == [1, 3, 2]


async def test_what_fails_for_all_is_told_to_each() -> None:
    def together(given: Sequence[int]) -> Sequence[int | Exception]:
        raise StoreUnavailable("away")

    broken = Workers(together, size=1, at_once=9, most_waiting=9, turn_seconds=5, patience_seconds=5)

    async def ask() -> None:
        with pytest.raises(StoreUnavailable, match="away"):
            await broken(1)

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(ask)


async def test_a_close_waits_for_what_is_at_work_and_turns_away_what_is_not(frozen: Frozen) -> None:
    threads = workers(1, most_waiting=3, turn_seconds=5, patience_seconds=5)
    outcomes: list[object] = []

    async def ask() -> None:
        try:
            outcomes.append(await threads(frozen))
        except StoreUnavailable as error:
            outcomes.append(str(error))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask)
        await until(1, frozen)
        assert not threads.close(patience_seconds=0.05)
        threading.Timer(0.1, frozen.thawed.set).start()
        assert threads.close(patience_seconds=5)
        assert (frozen.begun, frozen.ended) == (1, 1)
    assert outcomes == ["the event store is closed"] * 2 + ["done"]


async def test_who_is_at_work_when_all_is_closed_is_told_once_it_takes_too_long(frozen: Frozen) -> None:
    threads = workers(1, most_waiting=1, turn_seconds=0.1, patience_seconds=0.1)
    told: list[str] = []

    async def call() -> None:
        with pytest.raises(StoreUnavailable) as error:
            await threads(frozen)
        told.append(str(error.value))

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await until(1, frozen)
        assert not threads.close()
        with anyio.fail_after(2):
            while not told:
                await anyio.sleep(0.01)
    assert told == ["the event store had no answer within 0.1 s"]
