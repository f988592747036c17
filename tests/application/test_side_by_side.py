"""Many things at a time: each with its outcome, or all but for the first failure. Nothing goes on behind."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import anyio
import pytest

from application.side_by_side import all_of, outcomes_of, raise_first
from domain.errors import CutShort, LeaseLost, StoreUnavailable, first_of

pytestmark = pytest.mark.anyio

BOTH = pytest.mark.parametrize("do", [outcomes_of, all_of])
Do = Callable[..., Coroutine[Any, Any, list[Any]]]


class Work:
    """Doubles numbers; fails on some, and on some waits until it is let go on."""

    def __init__(self, *, fail: Iterable[int] = (), hold: Iterable[int] = ()) -> None:
        self.fail = set(fail)
        self.hold = set(hold)
        self.begun: list[int] = []
        self.cancelled: list[int] = []
        self.now = self.most = 0
        self.is_full = anyio.Event()
        self.go_on = anyio.Event()

    async def __call__(self, number: int) -> int:
        self.begun.append(number)
        self.now += 1
        self.most = max(self.most, self.now)
        if set(self.begun) >= self.hold:
            self.is_full.set()
        try:
            await (self.go_on.wait() if number in self.hold else anyio.sleep(0))
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        finally:
            self.now -= 1
        if number in self.fail:
            raise StoreUnavailable(str(number))
        return 2 * number


@BOTH
@pytest.mark.parametrize("at_once", [None, 1, 3, 100])
async def test_what_comes_of_each_is_in_their_order_and_no_more_are_worked_on_at_a_time(
    do: Do, at_once: int | None
) -> None:
    work = Work()
    assert await do(work, iter(range(10)), at_once=at_once) == [2 * each for each in range(10)]
    assert work.most == min(at_once or 10, 10)


@BOTH
async def test_of_nothing_comes_nothing(do: Do) -> None:
    assert await do(Work(), []) == []


@pytest.mark.parametrize("at_once", [None, 1, 2])
async def test_a_failure_is_an_outcome_and_keeps_nothing_back(at_once: int | None) -> None:
    work = Work(fail=[1, 3])
    outcomes = await outcomes_of(work, range(5), at_once=at_once)
    assert [str(each) for each in outcomes] == ["0", "1", "4", "3", "8"]
    assert [type(each) for each in outcomes] == [int, StoreUnavailable, int, StoreUnavailable, int]


@pytest.mark.parametrize("at_once", [None, 4])
async def test_the_first_failure_cancels_the_rest_and_comes_alone(at_once: int | None) -> None:
    work = Work(fail=[2], hold=[0, 1, 3, 4])
    with pytest.raises(StoreUnavailable, match="2"):
        await all_of(work, range(5), at_once=at_once)
    assert work.now == 0, "nothing goes on"
    assert work.begun == list(range(at_once or 5)), "and nothing is begun any more"
    assert sorted(work.cancelled) == [each for each in work.begun if each != 2]


@BOTH
@pytest.mark.parametrize(("things", "at_once"), [(6, 3), (6, None), (1, None)])
async def test_who_is_cancelled_leaves_nothing_behind(do: Do, things: int, at_once: int | None) -> None:
    work = Work(hold=range(at_once or things))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: do(work, range(things), at_once=at_once))
        await work.is_full.wait()
        tasks.cancel_scope.cancel()
    assert (work.now, sorted(work.cancelled)) == (0, sorted(work.hold))
    assert sorted(work.begun) == sorted(work.hold), "what had not begun does not begin"


@pytest.mark.parametrize("things", [1, 3])
async def test_a_task_that_is_cancelled_ends_as_a_cancelled_one(things: int) -> None:
    work = Work(hold=range(things))
    task = asyncio.create_task(outcomes_of(work, range(things)))
    await work.is_full.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (work.now, work.cancelled) == (0, list(range(things)))


async def given_up(number: int) -> int:
    """A connection that breaks cancels what is waited for, and nobody the one who waits."""
    if number == 1:
        raise asyncio.CancelledError
    await anyio.sleep(0)
    return number


@pytest.mark.parametrize("at_once", [None, 1])
async def test_what_is_cancelled_from_within_has_failed_and_the_rest_is_done(at_once: int | None) -> None:
    zero, one, two = await outcomes_of(given_up, range(3), at_once=at_once)
    assert (zero, type(one), two) == (0, CutShort, 2)
    with pytest.raises(CutShort):
        await all_of(given_up, range(3), at_once=at_once)


@BOTH
@pytest.mark.parametrize("things", [1, 3])
async def test_what_is_no_failure_but_an_end_comes_through(do: Do, things: int) -> None:
    class Killed(BaseException):
        """As a process is."""

    async def is_killed(number: int) -> int:
        await anyio.sleep(0)
        if number == 0:
            raise Killed
        return number

    with pytest.raises(Killed):
        await do(is_killed, range(things))


async def test_of_several_failures_the_first_is_raised_but_for_a_lost_lease() -> None:
    first, second, lost = StoreUnavailable("first"), StoreUnavailable("second"), LeaseLost("lost")
    raise_first([1, None])
    with pytest.raises(StoreUnavailable, match="first"):
        raise_first([1, first, second])
    with pytest.raises(LeaseLost):
        raise_first([first, lost])


async def test_what_fails_in_a_group_of_its_own_is_looked_into() -> None:
    one, lost = StoreUnavailable("one"), LeaseLost("lost")
    assert first_of([ExceptionGroup("", [ExceptionGroup("", [one])])]) is one
    assert first_of([one, ExceptionGroup("", [one, lost])]) is lost

    async def in_a_group(number: int) -> None:
        async with anyio.create_task_group():
            raise one

    for things in (1, 2):
        with pytest.raises(StoreUnavailable, match="one"):
            await all_of(in_a_group, range(things))
