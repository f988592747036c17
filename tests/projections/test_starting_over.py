"""A follower whose position is none of the log's begins anew, for as long as it is its to follow."""

import anyio
import pytest

from domain.errors import LeaseLost
from infrastructure.memory.checkpoints import MemoryCheckpoints
from tests.builders import LEASE, SettableClock
from tests.projections.fakes import PartitionedLog
from tests.projections.following import Setting, until

pytestmark = pytest.mark.anyio


class Passing:
    """A lease that can be asked so many times before it passes on."""

    name = "remembering"
    fence = 1

    def __init__(self, times: int) -> None:
        self._times = times

    def check(self) -> None:
        if not self._times:
            raise LeaseLost("passed on")
        self._times -= 1


@pytest.fixture
async def at(at: Setting, log: PartitionedLog, positions: MemoryCheckpoints) -> Setting:
    """It has handled something, and knows a position of another log."""
    log.append("one", "a")
    await at.follower.catch_up(LEASE)
    await positions.save("remembering", "one", "another log's", LEASE)
    return at


async def test_it_begins_anew(at: Setting, positions: MemoryCheckpoints) -> None:
    await at.follower.take_over(LEASE)
    assert at.handler.runs == []
    assert await positions.load("remembering", "one", LEASE) is None
    await at.follower.catch_up(LEASE)
    assert at.handler.runs == ["a"]


async def test_documents_are_made_anew_where_the_log_has_lost_what_they_were_made_of_a_moment_ago(
    log: PartitionedLog, positions: MemoryCheckpoints, clock: SettableClock
) -> None:
    """The last second's position is not saved yet, and the one before it is still the log's."""
    at = Setting(log, positions, clock)
    at.handler.may_repeat_unnoticed = True
    log.append("one", "kept")
    await at.follower.catch_up(LEASE)
    await at.follower.save_positions(LEASE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(at.follower.run, LEASE)
        log.append("one", "lost")
        await until(lambda: at.handler.runs == ["kept", "lost"])
        tasks.cancel_scope.cancel()
    log.lose("one")
    await at.follower.take_over(LEASE)
    log.append("one", "new")
    await at.follower.catch_up(LEASE)
    assert at.handler.runs == ["kept", "new"]


async def test_what_is_read_under_a_lease_that_is_lost_moves_nobody(
    log: PartitionedLog, positions: MemoryCheckpoints, clock: SettableClock
) -> None:
    at = Setting(log, positions, clock)
    log.append("one", "a", unwanted=True)
    with pytest.raises(LeaseLost):
        await at.follower.catch_up(Passing(0))
    assert at.follower.positions["one"] is None


@pytest.mark.parametrize(("times", "left"), [(0, ["a"]), (1, [])], ids=["before", "between"])
async def test_who_has_lost_the_lease_takes_nothing_from_who_has_it_now(
    at: Setting, positions: MemoryCheckpoints, times: int, left: list[str]
) -> None:
    with pytest.raises(LeaseLost):
        await at.follower.take_over(Passing(times))
    assert at.handler.runs == left
    assert await positions.load("remembering", "one", LEASE) == "another log's"
