"""Who started a workflow has asked for what it asks people, however far down it does."""

import pytest

from tests.definitions import document, step
from tests.harness import Service, eventually

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
DEFINITIONS = "/api/v1/workflow-definitions"


@pytest.mark.parametrize("is_awaited", [True, False])
async def test_nobody_decides_what_a_child_of_their_workflow_asks(
    behind_gateway: Service, is_awaited: bool
) -> None:
    child = {"kind": "workflow", "parameters": {"definition": "asks", "await": is_awaited}}
    async with behind_gateway.client(**{"X-User-ID": "rita"}) as rita:
        for made in (
            document(step("sign_off", kind="approval"), name="asks"),
            document(step("ask", **child), name="passes-on"),
            document(step("pass_on", kind="workflow", parameters={"definition": "passes-on"}), name="begins"),
        ):
            answer = await rita.post(DEFINITIONS, json=made)
            assert answer.status_code == 201, answer.text
        started = await rita.post(
            "/api/v1/workflows", json={"definition": "begins", "opportunityId": "opp-1"}
        )
        assert started.status_code == 202, started.text

        async def asked() -> dict[str, str] | None:
            await behind_gateway.caught_up()
            found = (await rita.get(APPROVALS)).json()["approvals"]
            return found[0] if found else None

        approval = await eventually(asked)
        assert approval["requestedBy"] == "rita"
        refused = await rita.post(f"{APPROVALS}/{approval['id']}/approve", json={"decidedBy": "rita"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "HITL_SEPARATION_OF_DUTIES")


async def test_a_child_that_asks_people_is_ended_by_operators_alone_one_by_one_or_many_at_once(
    behind_gateway: Service,
) -> None:
    workflows = "/api/v1/workflows"
    async with behind_gateway.client(**{"X-User-ID": "rita"}) as rita:
        for made in (
            document(step("sign_off", kind="approval"), name="asks"),
            document(step("ask", kind="workflow", parameters={"definition": "asks"}), name="begins"),
        ):
            assert (await rita.post(DEFINITIONS, json=made)).status_code == 201
        await rita.post(workflows, json={"definition": "begins", "opportunityId": "opp-1"})

        async def begun() -> str | None:
            await behind_gateway.caught_up()
            found = (await rita.get(workflows, params={"definition": "asks"})).json()["workflows"]
            return found[0]["id"] if found else None

        child = await eventually(begun)
        order = {"action": "cancel", "filter": {"definition": "asks"}, "reason": "x"}
        refused = await rita.post(f"{workflows}/{child}/cancel", json={"reason": "x"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN")
        for dry_run in (True, False):
            (told,) = (await rita.post(f"{workflows}/bulk", json={**order, "dryRun": dry_run})).json()[
                "outcomes"
            ]
            assert (told["outcome"], told["error"]["code"]) == ("refused", "FORBIDDEN")
    async with behind_gateway.client(**{"X-User-ID": "ada", "X-User-Roles": "admin"}) as operator:
        (told,) = (await operator.post(f"{workflows}/bulk", json=order)).json()["outcomes"]
    assert told["outcome"] == "done"
