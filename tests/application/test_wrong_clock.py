"""What goes by the clock is left to others by whose clock is not the store's."""

from collections.abc import Mapping, Sequence

import anyio
import pytest

from application.leadership import Leadership
from application.store_clock import StoreClock
from domain.errors import LeaseLost, StoreUnavailable
from tests.application.test_leadership import Doing, SharedLeases, leading, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def leases() -> SharedLeases:
    return SharedLeases()


class Other(Doing):
    """A part that goes by no clock."""

    name = "other"


async def test_whose_clock_differs_leaves_what_goes_by_it_to_another_and_does_the_rest(
    leases: SharedLeases,
) -> None:
    ahead = 0.0
    store = StoreClock(lambda: 1_000_000 + ahead, lambda: 0.0)
    store.note(1_000_000, store.asked())
    timers, other, heir = Doing(), Other(), Doing()
    async with leading(Leadership(leases, "a", [timers, other], store=store, by_the_clock={"part"})) as first:
        await until(lambda: timers.is_done and other.is_done)
        ahead = 3_600.0
        with pytest.raises(LeaseLost, match="whose clock is right"):
            timers.leases[0].check()
        other.leases[0].check()
        async with leading(Leadership(leases, "b", [heir])):
            await until(lambda: heir.is_done)
            assert first.held == {"part": False, "other": True}
            assert not timers.is_done
            await anyio.sleep(2 * leases.seconds)
            assert leases.rows["part"][0] == "b"
        ahead = 0.0
        await until(lambda: timers.is_done)
        assert len(other.leases) == 1


async def test_who_learns_with_the_lease_that_its_clock_differs_does_not_begin(leases: SharedLeases) -> None:
    store = StoreClock(lambda: 1_000_000.0, lambda: 0.0)

    class Telling(SharedLeases):
        async def hold(self, names: Sequence[str], holder: str) -> Mapping[str, int | None]:
            held = await leases.hold(names, holder)
            store.note(2_000_000, store.asked())
            return held

        async def release(self, names: Sequence[str], holder: str) -> None:
            if refusals:
                raise refusals.pop()
            await leases.release(names, holder)

    timers, telling, refusals = Doing(), Telling(), [StoreUnavailable("just then")]
    async with leading(Leadership(telling, "a", [timers], store=store, by_the_clock={"part"})):
        await until(lambda: leases.rows["part"][2] == 0.0)
        await anyio.sleep(2 * leases.seconds)
        assert leases.rows["part"][1] == 1, "it is not asked for again"
    assert timers.calls == []
