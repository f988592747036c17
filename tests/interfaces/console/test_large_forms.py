"""A form holds whatever its page shows: a browser sends some characters as nine bytes, and indents JSON."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.browser.visitor import SECRET, token
from tests.harness import TENANT, Service, service, settings_in
from tests.interfaces.console.forms import form_with

pytestmark = pytest.mark.anyio

WORKFLOWS, APPROVALS = "/api/v1/workflows", "/api/v1/hitl/approvals"
STEPS = [{"stepType": "look", "kind": "task", "parameters": {"queue": "looks"}}]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        yield running


@pytest.fixture
async def ada(running: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody whose browser says where its forms come from."""
    async with running.client(**{"X-User-ID": "ada", "Origin": "http://localhost"}) as client:
        yield client


async def test_a_workflow_with_a_long_input_in_chinese_is_retried(
    running: Service, ada: httpx.AsyncClient
) -> None:
    body = {"name": "review", "version": 1, "steps": STEPS}
    assert (await ada.put("/api/v1/workflow-definitions/review", json=body)).is_success
    start = {"definition": "review", "input": {"说明": "风险" * 16_000}}
    id = (await ada.post(WORKFLOWS, json=start)).json()["workflowId"]
    assert (await ada.post(f"{WORKFLOWS}/{id}/cancel", json={"reason": "off"})).is_success
    await running.caught_up()
    form = form_with((await ada.get(f"/console/workflows/{id}")).text, "Retry")
    answer = await ada.post(f"/console/workflows/{id}", data={**form, "do": "retry"})
    assert answer.status_code == 303, answer.text
    assert (await ada.get(f"{WORKFLOWS}/{id}")).json()["status"] == "running"


async def test_the_amount_beside_a_long_list_is_changed(running: Service, ada: httpx.AsyncClient) -> None:
    deal = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10, "payload": {"rates": [1] * 30_000}}
    id = (await ada.post(APPROVALS, json=deal)).json()["id"]
    await running.caught_up()
    form = form_with((await ada.get(f"/console/approvals/{id}")).text, "Save changes")
    sent = {**form, "amount": "11", "do": "revise"}
    answer = await ada.post(f"/console/approvals/{id}", data=sent)
    assert answer.status_code == 303, answer.text
    found = (await ada.get(f"{APPROVALS}/{id}")).json()
    assert (found["amount"], found["payload"]) == (11, deal["payload"])


async def test_a_form_of_very_many_fields_is_refused_in_words(ada: httpx.AsyncClient) -> None:
    answer = await ada.post("/console", content="a&" * 10_000)
    assert answer.status_code == 413
    assert "at most 10000 fields" in answer.text


async def test_who_is_not_signed_in_sends_little(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, JWT_SECRET=SECRET, BATCH_JOBS_ENABLED="false")
    async with service(settings) as running, running.client(Origin="http://localhost") as visitor:
        form = {"tenant": TENANT, "token": token("ada"), "to": "/console"}
        assert (await visitor.post("/console/sign-in", data=form)).status_code == 303
        answer = await visitor.post("/console/sign-in", data={**form, "to": f"/console?{'a' * 70_000}"})
    assert answer.status_code == 401
    assert "the body must be at most 65536 bytes" in answer.text
