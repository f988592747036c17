"""One timer for all that wait equally long."""

import asyncio
from unittest.mock import Mock

import pytest

from application.overdue import Overdue

pytestmark = pytest.mark.anyio

SECONDS = 0.05


async def test_what_waits_too_long_is_told_once_and_in_its_order() -> None:
    told: list[str] = []
    overdue = Overdue[str](SECONDS, told.append)
    loop = asyncio.get_running_loop()
    for thing in ("first", "second", "third"):
        overdue.wait(loop, thing)
    overdue.leave("second")
    await asyncio.sleep(3 * SECONDS)
    assert told == ["first", "third"]


async def test_what_begins_to_wait_later_is_told_later() -> None:
    told: list[tuple[str, float]] = []
    loop = asyncio.get_running_loop()
    overdue = Overdue[str](SECONDS, lambda thing: told.append((thing, loop.time())))
    began = loop.time()
    overdue.wait(loop, "first")
    await asyncio.sleep(SECONDS / 2)
    overdue.wait(loop, "second")
    await asyncio.sleep(2 * SECONDS)
    assert [thing for thing, _ in told] == ["first", "second"]
    assert told[0][1] - began >= SECONDS
    assert told[1][1] - began >= 1.5 * SECONDS


async def test_what_is_told_may_wait_again() -> None:
    told: list[str] = []
    loop = asyncio.get_running_loop()

    def tell(thing: str) -> None:
        told.append(thing)
        if len(told) < 3:
            overdue.wait(loop, thing)

    overdue = Overdue[str](SECONDS, tell)
    overdue.wait(loop, "again")
    await asyncio.sleep(5 * SECONDS)
    assert told == ["again"] * 3


async def test_after_the_last_has_left_the_next_is_told_as_well() -> None:
    told: list[str] = []
    overdue = Overdue[str](SECONDS, told.append)
    overdue.wait(asyncio.get_running_loop(), "gone")
    overdue.leave("gone")
    await asyncio.sleep(2 * SECONDS)
    overdue.wait(asyncio.get_running_loop(), "here")
    await asyncio.sleep(2 * SECONDS)
    assert told == ["here"]


async def test_a_timer_is_never_set_for_less_than_a_tick_of_the_loops_clock() -> None:
    told: list[str] = []
    overdue = Overdue[str](SECONDS, told.append)
    loop = Mock(time=Mock(side_effect=[0.0, SECONDS - 1e-9]))
    overdue.wait(loop, "first")
    look = loop.call_at.call_args.args[1]
    look(loop)
    assert told == []
    assert loop.call_at.call_args.args[0] >= SECONDS - 1e-9 + 0.001
