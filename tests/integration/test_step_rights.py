"""Orders on steps over REST where people decide: by whoever may not decide, and by an operator."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Service, eventually, service, settings_in

pytestmark = pytest.mark.anyio

DEAL = {
    "name": "deal",
    "steps": [
        {"stepType": "score", "kind": "task", "parameters": {"queue": "scores"}, "resultKey": "score"},
        {
            "stepType": "sign_off",
            "kind": "approval",
            "after": ["score"],
            "input": {"riskScore": "`0.9`", "amount": "`250000`"},
        },
        {"stepType": "release", "kind": "task", "parameters": {"queue": "releases"}, "after": ["sign_off"]},
    ],
}
EVE = {"X-User-ID": "eve", "X-User-Roles": "sales"}
OPERATOR = {"X-User-ID": "ada", "X-User-Roles": "admin"}
SCORED = {"result": {"riskScore": 0.1}}
APPROVED = {"result": {"outcome": "approved"}}
WANTED = {"definition": "deal", "opportunityId": "opp-1"}


@pytest.fixture
async def steps(tmp_path: Path) -> Any:
    """A service, and the paths of the steps of a deal that is under way there, by their types."""
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        async with running.client() as client:
            assert (await client.post("/api/v1/workflow-definitions", json=DEAL)).status_code == 201
            started = (await client.post("/api/v1/workflows", json=WANTED)).json()
        path = f"/api/v1/workflows/{started['workflowId']}/steps"
        yield running, {step["stepType"]: f"{path}/{step['stepId']}" for step in started["steps"]}


async def ordered(running: Service, by: dict[str, str], path: str, body: Any) -> tuple[int, str | None]:
    """The status of an order's answer, and the code of its error."""
    async with running.client(**by) as client:
        answer = await client.post(path, json=body)
    return answer.status_code, answer.json().get("error", {}).get("code")


async def there_is_one(running: Service, status: str) -> bool:
    """Whether there is an approval like that."""
    async with running.client() as client:
        return bool((await client.get("/api/v1/hitl/approvals", params={"status": status})).json()["total"])


async def test_who_may_not_decide_gets_round_no_decision(steps: tuple[Service, dict[str, str]]) -> None:
    running, path = steps
    left_out = {"reason": "in a hurry"}
    for step in ("score", "sign_off"):
        assert await ordered(running, EVE, f"{path[step]}/skip", left_out) == (403, "FORBIDDEN")
    assert await ordered(running, EVE, f"{path['score']}/complete", SCORED) == (403, "FORBIDDEN")
    for person in (EVE, OPERATOR):
        refused = await ordered(running, person, f"{path['sign_off']}/complete", APPROVED)
        assert refused == (409, "STEP_IS_FOR_PEOPLE")


async def test_an_operator_may_and_it_is_told_who_it_was(steps: tuple[Service, dict[str, str]]) -> None:
    running, path = steps
    assert await ordered(running, OPERATOR, f"{path['score']}/complete", SCORED) == (200, None)
    await eventually(partial(there_is_one, running, "pending"))
    assert await ordered(running, OPERATOR, f"{path['sign_off']}/skip", {"reason": "asked"}) == (200, None)
    await eventually(partial(there_is_one, running, "withdrawn"))
    async with running.client(**EVE) as client:
        workflow = path["score"].rpartition("/steps/")[0]
        found = (await client.get(workflow)).json()
        events = (await client.get(f"{workflow}/events")).json()["events"]
    by = {step["stepType"]: step["status"] for step in found["steps"]}
    assert by == {"score": "completed", "sign_off": "skipped", "release": "running"}
    assert {each["actor"] for each in events if each["type"] == "workflow.step_skipped"} == {"ada"}
    assert await ordered(running, EVE, f"{path['release']}/skip", {"reason": "sold"}) == (200, None)
