"""``createdAfter`` and ``createdBefore``: moments that fall between two milliseconds."""

import pytest

from tests.harness import Service

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
WORKFLOWS = "/api/v1/workflows"

LISTS = [
    (APPROVALS, {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}),
    (WORKFLOWS, {"opportunityId": "opp-1"}),
]


def later(moment: str, microseconds: str) -> str:
    """A moment that is told in milliseconds, and so many more microseconds."""
    return moment.replace("Z", f"{microseconds}Z")


@pytest.mark.parametrize(("path", "body"), LISTS)
async def test_a_list_takes_a_moment_between_two_milliseconds_as_it_is(
    behind_gateway: Service, path: str, body: dict[str, object]
) -> None:
    async with behind_gateway.client() as client:
        made = await client.post(path, json=body)
        created_at = (await client.get(made.headers["location"])).json()["createdAt"]
        await behind_gateway.caught_up()

        async def found(**moments: str) -> int:
            total: int = (await client.get(path, params=moments)).json()["total"]
            return total

        assert await found(createdAfter=created_at) == 1
        assert await found(createdAfter=later(created_at, "000000")) == 1
        assert await found(createdAfter=later(created_at, "001")) == 0
        assert await found(createdAfter=later(created_at, "999999")) == 0
        assert await found(createdBefore=created_at) == 0
        assert await found(createdBefore=later(created_at, "000")) == 0
        assert await found(createdBefore=later(created_at, "001")) == 1
        assert await found(createdAfter=created_at, createdBefore=later(created_at, "5")) == 1


async def test_a_bulk_order_takes_a_moment_between_two_milliseconds_as_it_is(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        created_at = (await client.post(WORKFLOWS, json={"opportunityId": "opp-1"})).json()["createdAt"]
        await behind_gateway.caught_up()

        async def found(**moments: str) -> int:
            order = {"action": "cancel", "filter": moments, "reason": "moot", "dryRun": True}
            total: int = (await client.post(f"{WORKFLOWS}/bulk", json=order)).json()["total"]
            return total

        assert await found(createdAfter=created_at) == 1
        assert await found(createdAfter=later(created_at, "5")) == 0
        assert await found(createdBefore=created_at) == 0
        assert await found(createdBefore=later(created_at, "5")) == 1


async def test_the_ends_of_the_calendar_are_moments_too(behind_gateway: Service) -> None:
    first, last = "0001-01-01T00:00:00.000001Z", "9999-12-31T23:59:59.999999Z"
    async with behind_gateway.client() as client:
        await client.post(APPROVALS, json=LISTS[0][1])
        await behind_gateway.caught_up()
        for query, total in (
            ({"createdAfter": first, "createdBefore": last}, 1),
            ({"createdAfter": last}, 0),
            ({"createdBefore": first}, 0),
        ):
            assert (await client.get(APPROVALS, params=query)).json()["total"] == total
