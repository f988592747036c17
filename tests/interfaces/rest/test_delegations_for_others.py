"""An operator may say who decides for somebody else, but not about what they have asked for themselves."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from domain.values import timestamp
from tests.harness import Service

pytestmark = pytest.mark.anyio

APPROVALS, DELEGATIONS = "/api/v1/hitl/approvals", "/api/v1/hitl/delegations"
OF_ADA = {"stages": [{"name": "ada", "approvers": [{"user": "ada"}]}]}
OLGA = {"X-User-ID": "olga", "X-User-Roles": "admin"}


async def asked(client: httpx.AsyncClient, person: str, **more: Any) -> str:
    """An approval that somebody asks ada for; its path."""
    deal = {"opportunityId": "o", "riskScore": 1, "amount": 2, "policy": OF_ADA, **more}
    answer = await client.post(APPROVALS, json=deal, headers={"X-User-ID": person})
    assert answer.status_code == 201, answer.text
    return f"{APPROVALS}/{answer.json()['id']}"


async def approved(client: httpx.AsyncClient, path: str) -> httpx.Response:
    body = {"decidedBy": "fred"}
    return await client.post(f"{path}/approve", json=body, headers={"X-User-ID": "fred"})


async def test_who_asks_does_not_choose_who_decides_for_the_approver(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        body = {"by": "ada", "to": "fred", "endsAt": timestamp(datetime.now(UTC) + timedelta(days=1))}
        made = await client.post(DELEGATIONS, json=body, headers=OLGA)
        assert (made.status_code, made.json()["madeBy"]) == (201, "olga")
        for path in (await asked(client, "olga"), await asked(client, "rita", ownerId="olga")):
            refused = await approved(client, path)
            assert refused.status_code == 403
            assert refused.json()["error"]["code"] == "HITL_SEPARATION_OF_DUTIES"
            assert "a delegation made by olga" in refused.json()["error"]["message"]
        answer = await approved(client, await asked(client, "rita"))
        assert answer.status_code == 200, answer.text
        assert answer.json()["onBehalfOf"] == "ada"
