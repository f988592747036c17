"""No cache between a client and the service may keep an answer: the next to ask may be another tenant."""

from uuid import uuid4

import httpx
import pytest

from tests.harness import SYSTEM_TENANT, Service

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}


def told(answer: httpx.Response) -> list[str]:
    """What an answer says of caches, each time that it does."""
    return answer.headers.get_list("cache-control")


async def test_no_answer_of_the_api_may_be_kept(behind_gateway: Service) -> None:
    async with behind_gateway.client(**{"X-User-ID": "ada"}) as client:
        made = await client.post(APPROVALS, json=DEAL)
        answers = [
            made,
            await client.get(made.headers["location"]),
            await client.get(f"{made.headers['location']}/events"),
            await client.get(APPROVALS),
            await client.get(f"{APPROVALS}/{uuid4()}"),
            await client.post(APPROVALS, json={}),
            await client.get("/api/v1/nothing"),
            await client.put(APPROVALS),
            await client.get(APPROVALS, headers={"X-Tenant-ID": ""}),
            await client.get("/api/v1/audit/export"),
        ]
    assert [each.status_code for each in answers] == [201, 200, 200, 200, 404, 400, 404, 405, 400, 200]
    assert [told(each) for each in answers] == [["no-store"]] * len(answers)


async def test_nor_may_what_is_told_of_the_service(behind_gateway: Service) -> None:
    async with behind_gateway.client(SYSTEM_TENANT) as client:
        answers = [await client.get(path) for path in ("/health", "/ready", "/metrics", "/api/v1/jobs")]
    assert [each.status_code for each in answers] == [200] * 4
    assert [told(each) for each in answers] == [["no-store"]] * 4


async def test_an_answer_that_says_itself_that_it_may_be_kept_is_believed(
    behind_gateway: Service,
) -> None:
    async with behind_gateway.client() as client:
        kept = await client.get("/docs/init.js")
        asked_again = [await client.get(path) for path in ("/docs", "/openapi.yaml")]
    assert told(kept) == ["public, max-age=3600"]
    assert [told(each) for each in asked_again] == [["no-cache"]] * 2


async def test_what_breaks_may_not_be_kept(behind_gateway: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*arguments: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(behind_gateway.container.stores.documents, "query", breaks)
    async with behind_gateway.client() as client:
        broken = await client.get(APPROVALS)
    assert broken.status_code == 500
    assert told(broken) == ["no-store"]
