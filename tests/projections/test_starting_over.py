"""A follower whose position is none of the log's begins anew, for as long as it is its to follow."""

import pytest

from domain.errors import LeaseLost
from infrastructure.memory.checkpoints import MemoryCheckpoints
from tests.builders import LEASE
from tests.projections.fakes import PartitionedLog
from tests.projections.following import Setting

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


@pytest.mark.parametrize(("times", "left"), [(0, ["a"]), (1, [])], ids=["before", "between"])
async def test_who_has_lost_the_lease_takes_nothing_from_who_has_it_now(
    at: Setting, positions: MemoryCheckpoints, times: int, left: list[str]
) -> None:
    with pytest.raises(LeaseLost):
        await at.follower.take_over(Passing(times))
    assert at.handler.runs == left
    assert await positions.load("remembering", "one", LEASE) == "another log's"
