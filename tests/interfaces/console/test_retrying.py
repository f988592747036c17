"""A retry by the form of a workflow's page, with its input as it is or with some of it changed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness import Service, service, settings_in
from tests.interfaces.console.forms import form_with

pytestmark = pytest.mark.anyio

API = "/api/v1/workflows"
STEPS = [{"stepType": "look", "kind": "task", "parameters": {"queue": "looks"}}]
SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "number"},
        "note": {"type": "string"},
        "size": {"enum": ["small", "large"], "default": "large"},
        "sure": {"type": ["boolean", "null"]},
        "urgent": {"type": "boolean", "default": True},
    },
    "required": ["amount", "note"],
}
GIVEN = {"amount": 1, "note": "", "sure": None}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        yield running


class Visitor:
    """Somebody who looks at one workflow, and gives orders by its page."""

    def __init__(self, running: Service, client: httpx.AsyncClient, id: str) -> None:
        self._running = running
        self._client = client
        self._id = id

    async def cancelled(self) -> None:
        """It is not at work."""
        answer = await self._client.post(f"{API}/{self._id}/cancel", json={"reason": "off"})
        assert answer.is_success, answer.text
        await self._running.caught_up()

    async def form(self) -> dict[str, str]:
        """The form of orders, as it is shown."""
        return form_with((await self._client.get(f"/console/workflows/{self._id}")).text, "Retry")

    async def sends(self, form: dict[str, str], **changes: str) -> httpx.Response:
        """The answer to that form, with something else in some fields."""
        sent = {**form, **{f"input.{name}": text for name, text in changes.items()}, "do": "retry"}
        answer = await self._client.post(f"/console/workflows/{self._id}", data=sent)
        await self._running.caught_up()
        return answer

    async def now(self) -> tuple[Any, list[bool]]:
        """The input, and of each retry, the newest first, whether it had one."""
        events = (await self._client.get(f"{API}/{self._id}/events")).json()["events"]
        retries = ["input" in each["data"] for each in events if each["type"] == "workflow.retried"]
        return (await self._client.get(f"{API}/{self._id}")).json()["input"], retries


@pytest.fixture
async def ada(running: Service) -> AsyncIterator[Visitor]:
    """Before a workflow that is cancelled."""
    async with running.client(**{"X-User-ID": "ada", "Origin": "http://localhost"}) as client:
        body = {"name": "review", "version": 1, "steps": STEPS, "inputSchema": SCHEMA}
        assert (await client.put("/api/v1/workflow-definitions/review", json=body)).is_success
        begun = await client.post(API, json={"definition": "review", "input": GIVEN})
        ada = Visitor(running, client, begun.json()["workflowId"])
        await ada.cancelled()
        yield ada


async def test_a_form_that_nobody_has_touched_asks_for_no_other_input(ada: Visitor) -> None:
    form = await ada.form()
    assert form["input.size"] == form["input.urgent"] == ""
    assert (await ada.sends(form)).status_code == 303
    assert await ada.now() == (GIVEN, [False])


async def test_only_what_was_changed_is_put_over_the_input_as_it_is_now(ada: Visitor) -> None:
    stale = await ada.form()
    assert (await ada.sends(await ada.form(), amount="7", size="small")).status_code == 303
    await ada.cancelled()
    assert (await ada.sends({**stale, "key": "another"}, note="mine")).status_code == 303
    assert await ada.now() == ({**GIVEN, "amount": 7, "size": "small", "note": "mine"}, [True, True])
    await ada.cancelled()
    assert (await ada.sends({**stale, "key": "third"})).status_code == 303
    assert await ada.now() == ({**GIVEN, "amount": 7, "size": "small", "note": "mine"}, [False, True, True])


async def test_what_was_cleared_is_gone_and_is_still_empty_where_that_is_refused(ada: Visitor) -> None:
    assert (await ada.sends(await ada.form(), size="small")).status_code == 303
    await ada.cancelled()
    refused = await ada.sends(await ada.form(), size="", amount="much")
    again = form_with(refused.text, "Retry")
    assert refused.status_code == 400
    assert (again["input.size"], again["input.amount"]) == ("", "much")
    assert (await ada.sends(again, amount="2")).status_code == 303
    assert await ada.now() == ({**GIVEN, "amount": 2}, [True, True])
