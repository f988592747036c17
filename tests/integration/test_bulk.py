"""One order for many workflows: each has its outcome, and no other tenant's are touched."""

from typing import Any

import pytest

from tests.harness import OTHER_TENANT, Service
from tests.integration.test_workflow_routes import PATH, started

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]


async def ordered(service: Service, **body: Any) -> Any:
    """What a bulk order is answered with."""
    await service.caught_up()
    async with service.client() as client:
        return await client.post(f"{PATH}/bulk", json={"reason": "off", **body})


async def statuses(service: Service, tenant: str | None = None) -> list[str]:
    await service.caught_up()
    async with service.client(*([tenant] if tenant else [])) as client:
        workflows = (await client.get(PATH)).json()["workflows"]
    return [str(workflow["status"]) for workflow in workflows]


async def test_all_that_the_filter_finds_are_cancelled_and_no_others(orchestrator: Service) -> None:
    for number in range(5):
        await started(orchestrator, opportunityId="opp-1" if number < 3 else "opp-2")
    async with orchestrator.client(OTHER_TENANT) as stranger:
        await stranger.post(PATH, json={"opportunityId": "opp-1"})
    await started(orchestrator, opportunityId="opp-3")
    wanted = {"action": "cancel", "filter": {"opportunityId": "opp-1"}}
    planned = (await ordered(orchestrator, **wanted, dryRun=True)).json()
    assert (planned["total"], planned["dryRun"]) == (3, True)
    one_runs_of_each = ["pending"] * 3 + ["running"] * 3
    assert sorted(await statuses(orchestrator)) == one_runs_of_each, "a dry run changes nothing"
    answer = await ordered(orchestrator, **wanted)
    done = answer.json()
    async with orchestrator.client(**{"X-Min-Position": answer.headers["X-Position"]}) as client:
        left = (await client.get(PATH, params={"opportunityId": "opp-1", "status": "cancelled"})).json()
    assert left["total"] == 3, "an order tells a position behind all that it did"
    assert [each["outcome"] for each in done["outcomes"]] == ["done"] * 3
    assert {each["workflowId"] for each in done["outcomes"]} == {
        each["workflowId"] for each in planned["outcomes"]
    }
    assert sorted(await statuses(orchestrator)) == ["cancelled"] * 3 + ["pending"] + ["running"] * 2
    assert await statuses(orchestrator, OTHER_TENANT) == ["running"]
    again = (await ordered(orchestrator, **wanted)).json()
    assert [each["outcome"] for each in again["outcomes"]] == ["unchanged"] * 3


async def test_what_cannot_be_retried_says_why_and_the_others_are(orchestrator: Service) -> None:
    first, second = await started(orchestrator), await started(orchestrator)
    async with orchestrator.client() as client:
        await client.post(f"{PATH}/{first['workflowId']}/cancel", json={"reason": "off"})
    wanted = {"action": "retry", "filter": {"opportunityId": "opp-1"}}
    planned = (await ordered(orchestrator, **wanted, dryRun=True)).json()["outcomes"]
    told = {each["workflowId"]: each["outcome"] for each in planned}
    assert told == {first["workflowId"]: "would_be_ordered", second["workflowId"]: "refused"}
    answer = await ordered(orchestrator, **wanted)
    outcomes = {each["workflowId"]: each for each in answer.json()["outcomes"]}
    assert outcomes[first["workflowId"]]["outcome"] == "done"
    assert outcomes[second["workflowId"]]["outcome"] == "refused"
    assert outcomes[second["workflowId"]]["error"]["code"] == "WORKFLOW_NOT_ENDED"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "cancel", "filter": {}}, "filter"),
        ({"action": "cancel"}, "filter"),
        ({"action": "delete", "filter": {"status": "failed"}}, "action"),
        ({"action": "cancel", "filter": {"status": "odd"}}, "filter.status"),
        ({"action": "cancel", "filter": {"status": "failed"}, "reason": ""}, "reason"),
    ],
)
async def test_an_order_that_is_no_good_names_the_field(
    orchestrator: Service, body: dict[str, Any], field: str
) -> None:
    answer = await ordered(orchestrator, **body)
    assert answer.status_code == 400
    assert field in [each["field"] for each in answer.json()["error"]["details"]]
