"""What every store of leases that instances share does."""

import time

import anyio

from application.ports import Leases
from application.store_clock import StoreClock
from domain.lease import Lease
from tests.builders import Held

SECONDS = 0.5
"""Of a lease in these tests."""


async def taken(leases: Leases, name: str, holder: str) -> Lease:
    """The lease, once it is free."""
    with anyio.fail_after(5):
        while True:
            held = await leases.hold([name], holder)
            if name in held:
                return Held(name, held[name])
            await anyio.sleep(0.02)


class LeasesCases:
    """What every store does; ``leases`` is a fixture, of leases that last ``SECONDS``."""

    async def test_what_is_free_is_held_by_the_first_who_asks(self, leases: Leases) -> None:
        held = await leases.hold(["x", "y"], "a")
        assert set(held) == {"x", "y"}
        assert await leases.hold(["x", "y"], "b") == {}
        assert set(await leases.hold(["y", "z"], "b")) == {"z"}

    async def test_who_asks_anew_keeps_it_with_the_same_fence(self, leases: Leases) -> None:
        first = await leases.hold(["x"], "a")
        for _ in range(4):
            await anyio.sleep(SECONDS / 2)
            assert await leases.hold(["x"], "a") == first
            assert await leases.hold(["x"], "b") == {}

    async def test_what_has_run_out_is_free_for_another_with_a_higher_fence(self, leases: Leases) -> None:
        first = await taken(leases, "x", "a")
        began = time.monotonic()
        second = await taken(leases, "x", "b")
        assert time.monotonic() - began > SECONDS * 0.8
        assert (second.fence or 0) > (first.fence or 0)
        assert await leases.hold(["x"], "a") == {}

    async def test_what_has_run_out_and_nobody_wanted_is_still_its_holders(self, leases: Leases) -> None:
        first = await taken(leases, "x", "a")
        await anyio.sleep(SECONDS * 1.2)
        assert await leases.hold(["x"], "a") == {"x": first.fence}

    async def test_what_is_given_back_is_free_at_once_and_only_its_holder_can(self, leases: Leases) -> None:
        first = await taken(leases, "x", "a")
        await leases.release(["x"], "b")
        assert await leases.hold(["x"], "b") == {}
        await leases.release(["x", "never"], "a")
        held = await leases.hold(["x"], "b")
        assert (held["x"] or 0) > (first.fence or 0)

    async def test_who_asks_learns_what_the_stores_clock_reads(
        self, leases: Leases, store_clock: StoreClock
    ) -> None:
        """Also who asks for nothing. Every store of the tests is on this machine, whose clock is right."""
        for names in ([], ["x"]):
            store_clock.note(0.0, store_clock.asked())
            assert store_clock.ahead_seconds > 1e9
            await leases.hold(names, "a")
            assert abs(store_clock.ahead_seconds) < 2
