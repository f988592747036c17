"""Every link of the contract, followed from a request that succeeds to the operation that it promises."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.contract import Operation, operations, resolved, validate_answer
from tests.harness import SYSTEM_TENANT, TENANT, eventually, service, settings_in

OPERATIONS = {operation.id: operation for operation in operations()}

A_MOMENT = "0.05"
"""No neighbour answers here: with so short a wait workflows fail, and there is something to retry."""

SOMEBODY = "1c7e9a2b-4d60-4f38-a5b1-8e2d0c6f4a97"
"""Who asks for approvals, and decides on none of them."""
SOMEBODY_ELSE = "8d1f3c52-64ab-4e0f-b1f9-2f0d9e7c6a22"

MADE_BY = {
    "/delegations/": "createDelegation",
    "/backfills/": "startBackfill",
    "/approvals/": "createApproval",
}
"""What makes the thing that a path names by its ``id``."""

pytestmark = pytest.mark.anyio


async def test_each_link_leads_to_an_answer_that_the_contract_promises(tmp_path: Path) -> None:
    followed = set()
    settings = settings_in(tmp_path, WORKFLOW_STEP_TIMEOUT_SECONDS=A_MOMENT)
    async with service(settings) as running, running.client() as client:
        for operation in OPERATIONS.values():
            for status, name, link in _links(operation):
                response = await _succeed(client, operation)
                again_and_unchanged = 200
                assert response.status_code in (int(status), again_and_unchanged), response.text
                target = OPERATIONS[link["operationId"]]
                answer = await _send(client, target, _filled_in(link, response))
                validate_answer(target, answer)
                assert answer.status_code in (200, 201, 202, 409), f"{operation.id} {name}: {answer.text}"
                followed.add((operation.id, name))
    assert len(followed) >= 40


async def test_a_failed_workflow_is_retried_as_the_contract_says(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, WORKFLOW_STEP_TIMEOUT_SECONDS=A_MOMENT)
    async with service(settings) as running, running.client() as client:
        retried = await _succeed(client, OPERATIONS["retryWorkflow"])
        validate_answer(OPERATIONS["retryWorkflow"], retried)
        for part in ("getWorkflow", "listWorkflowSteps", "listWorkflowExecutions", "listWorkflowEvents"):
            target = OPERATIONS[part]
            validate_answer(target, await _send(client, target, {"workflowId": retried.json()["workflowId"]}))


def _links(operation: Operation) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (status, name, resolved(link))
        for status, response in operation.responses().items()
        for name, link in response.get("links", {}).items()
    ]


async def _succeed(client: httpx.AsyncClient, operation: Operation) -> httpx.Response:
    """An answer of ``operation`` to something that was made for it."""
    values: dict[str, str] = {}
    if "workflowId" in operation.parameters("path"):
        values["workflowId"] = (await _send(client, OPERATIONS["startWorkflow"], {})).json()["workflowId"]
    if "job" in operation.parameters("path"):
        values["job"] = "outcome-sync"
    if "id" in operation.parameters("path"):
        made_by = next(made for part, made in MADE_BY.items() if part in operation.path)
        values["id"] = (await _send(client, OPERATIONS[made_by], values)).json()["id"]
    if "name" in operation.parameters("path"):
        made = await _send(client, OPERATIONS["createWorkflowDefinition"], {})
        values["name"] = made.json()["name"]
    if operation.id == "retryWorkflow":

        async def failed() -> bool:
            workflow = await _send(client, OPERATIONS["getWorkflow"], values)
            return bool(workflow.json()["status"] == "failed")

        await eventually(failed)
    return await _send(client, operation, values)


async def _send(client: httpx.AsyncClient, operation: Operation, values: dict[str, str]) -> httpx.Response:
    """A request with the first example of the operation's body, and these parameters."""
    tenant = SYSTEM_TENANT if operation.path.startswith("/api/v1/jobs") else TENANT
    headers = {"X-Tenant-ID": tenant, "X-User-ID": SOMEBODY}
    headers |= {name: values[name] for name in operation.parameters("header") if name in values}
    if operation.id == "claimApproval":
        headers["X-User-ID"] = SOMEBODY_ELSE
    body = None
    if "requestBody" in operation.definition:
        media = resolved(operation.definition["requestBody"])["content"]["application/json"]
        body = next(iter(media["examples"].values()))["value"]
        if "decidedBy" in body:
            headers["X-User-ID"] = body["decidedBy"]
    path = operation.path.format_map(values)
    return await client.request(operation.method, path, json=body, headers=headers)


def _filled_in(link: dict[str, Any], response: httpx.Response) -> dict[str, str]:
    """The parameters that a link takes out of an answer and of the request that led to it."""
    values = {}
    for parameter, expression in link["parameters"].items():
        source, _, name = expression.partition("#/")
        if source == "$response.body":
            values[parameter.partition(".")[2]] = response.json()[name]
        else:
            message, _, header = expression.partition(".header.")
            headers = {"$response": response.headers, "$request": response.request.headers}[message]
            values[parameter.partition(".")[2]] = headers[header]
    return values
