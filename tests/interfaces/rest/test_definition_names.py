"""Who names a workflow definition that there is not learns which there are."""

from typing import Any

import httpx
import pytest

from domain.errors import StoreUnavailable
from tests.contract.contract import validate_document
from tests.definitions import document
from tests.harness import OTHER_TENANT, Service

pytestmark = pytest.mark.anyio

PATH = "/api/v1/workflow-definitions"
SHIPPED = {"deal-review", "opportunity-analysis"}


def told(answer: httpx.Response) -> tuple[str, Any]:
    """What a refusal says, and the definitions that it names."""
    error = answer.json()["error"]
    validate_document("Error", answer.json())
    assert (answer.status_code, error["code"]) == (404, "DEFINITION_NOT_FOUND")
    return error["message"], error.get("details", {}).get("definitions")


async def test_the_nearest_definitions_of_ones_own_are_told_and_no_other_tenants(
    behind_gateway: Service,
) -> None:
    async with behind_gateway.client(OTHER_TENANT) as stranger:
        await stranger.post(PATH, json=document(name="deal-checks"))
    async with behind_gateway.client() as client:
        for name in ("deal-check", "call-back", "gone"):
            assert (await client.post(PATH, json=document(name=name))).status_code == 201
        assert (await client.delete(f"{PATH}/gone")).status_code == 200
        await behind_gateway.caught_up()
        start = await client.post("/api/v1/workflows", json={"definition": "deal-chek"})
        answers = [start] + [
            await client.request(method, f"{PATH}/deal-chek{part}")
            for method, part in (("GET", ""), ("DELETE", ""), ("GET", "/graph"), ("GET", "/events"))
        ]
    for answer in answers:
        message, definitions = told(answer)
        assert message == "there is no workflow definition deal-chek; did you mean deal-check?"
        assert definitions[0] == "deal-check"
        assert set(definitions) == {"deal-check", "call-back", *SHIPPED}


async def test_ten_are_told_at_most_and_none_where_only_the_version_is_wrong(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        for number in range(12):
            assert (await client.post(PATH, json=document(name=f"plan-{number}"))).status_code == 201
        await behind_gateway.caught_up()
        _, definitions = told(await client.get(f"{PATH}/plan-5x"))
        assert (len(definitions), definitions[0]) == (10, "plan-5")
        _, definitions = told(await client.get(f"{PATH}/{'Plan!' * 500}"))
        assert len(definitions) == 10
        message, definitions = told(await client.get(f"{PATH}/plan-5", params={"version": 7}))
        assert (message, definitions) == ("there is no workflow definition plan-5 version 7", None)


async def test_while_the_documents_are_away_the_refusal_is_the_same_without_names(
    behind_gateway: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(type(behind_gateway.container.stores.documents), "query", away)
    async with behind_gateway.client() as client:
        start = await client.post("/api/v1/workflows", json={"definition": "deal-chek"})
    assert told(start) == ("there is no workflow definition deal-chek", None)
