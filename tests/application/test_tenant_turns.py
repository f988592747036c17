"""Where more is at hand than is done at once, the tenants take turns."""

import asyncio

import pytest

from application.tenant_turns import TenantTurns

pytestmark = pytest.mark.anyio


class Hall:
    """Whoever has a turn stays until the door is opened for them."""

    def __init__(self, at_once: int) -> None:
        self.turns = TenantTurns(at_once)
        self.order: list[str] = []
        self.inside = 0
        self.most_inside = 0

    async def visit(self, tenant: str) -> None:
        async with self.turns.turn(tenant):
            self.order.append(tenant)
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            await asyncio.sleep(0)
            self.inside -= 1


async def test_a_tenant_does_not_wait_behind_another_s_flood() -> None:
    hall = Hall(2)
    await asyncio.gather(*(hall.visit("flood") for _ in range(50)), hall.visit("other"))
    assert hall.order.index("other") <= 4
    assert len(hall.order) == 51
    assert hall.most_inside == 2


async def test_all_tenants_take_turns() -> None:
    hall = Hall(1)
    await asyncio.gather(*(hall.visit(tenant) for tenant in "aaaabbbc"))
    assert "".join(hall.order) == "aabcabab"


async def test_one_that_gives_up_waiting_leaves_its_place_to_others() -> None:
    hall = Hall(1)
    visits = [asyncio.create_task(hall.visit(tenant)) for tenant in "abcd"]
    await asyncio.sleep(0)
    visits[1].cancel()
    await asyncio.gather(*visits, return_exceptions=True)
    assert "".join(hall.order) == "acd"
    await hall.visit("e")
    assert hall.order[-1] == "e"


async def test_one_that_is_cancelled_when_its_turn_comes_passes_it_on() -> None:
    hall = Hall(1)
    async with hall.turns.turn("a"):
        second, third = asyncio.create_task(hall.visit("b")), asyncio.create_task(hall.visit("c"))
        await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, third, return_exceptions=True)
    assert hall.order == ["c"]


async def test_a_place_is_given_back_after_a_failure() -> None:
    hall = Hall(1)
    with pytest.raises(ValueError, match="no"):
        async with hall.turns.turn("a"):
            raise ValueError("no")
    await hall.visit("b")
    assert hall.order == ["b"]
