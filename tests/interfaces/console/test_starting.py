"""A workflow that is started by a form: which version of its definition, and with which input."""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness import service, settings_in
from tests.interfaces.console.forms import form_with

pytestmark = pytest.mark.anyio

PAGE = "/console/workflows/start"
STEPS = [{"stepType": "look", "kind": "task", "parameters": {"queue": "looks"}}]


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody in front of a service that believes its gateway."""
    told = {"X-User-ID": "ada", "Origin": "http://localhost"}
    settings = settings_in(tmp_path, BATCH_JOBS_ENABLED="false")
    async with service(settings) as running, running.client(**told) as ada:
        yield ada


def texts(*names: str) -> Mapping[str, Any]:
    """The schema of an input of such texts."""
    return {"inputSchema": {"type": "object", "properties": {name: {"type": "string"} for name in names}}}


async def publish(ada: httpx.AsyncClient, version: int, how: Mapping[str, Any]) -> None:
    """A version of a definition, which can be read from then on."""
    body = {"name": "review", "version": version, "steps": STEPS, **how}
    answer = await ada.put("/api/v1/workflow-definitions/review", json=body)
    assert answer.is_success, answer.text
    there = {"X-Min-Position": answer.headers["x-position"]}
    assert (await ada.get("/api/v1/workflow-definitions/review", headers=there)).is_success


async def started(ada: httpx.AsyncClient, form: Mapping[str, str]) -> Any:
    """The workflow that a form has started."""
    answer = await ada.post(PAGE, data=form)
    assert answer.status_code == 303, answer.text
    return (await ada.get(f"/api/v1{answer.headers['location'].removeprefix('/console')}")).json()


async def test_another_version_than_was_shown_is_not_started_and_is_shown_with_what_was_typed(
    ada: httpx.AsyncClient,
) -> None:
    await publish(ada, 1, texts("note", "old one"))
    form = form_with((await ada.get(f"{PAGE}?definition=review")).text, "Start")
    await publish(ada, 2, texts("note", "other"))
    form |= {"input.note": "mine", "input.old one": "<typed>", "opportunityId": "opp-1"}
    refused = await ada.post(PAGE, data=form)
    assert refused.status_code == 409
    assert "version 2, shown below" in refused.text
    assert (await ada.get("/api/v1/workflows")).json()["total"] == 0
    assert re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", refused.text) == [("old one", "&lt;typed&gt;")]
    again = form_with(refused.text, "Start")
    assert (again["input.note"], again["input.other"], again["opportunityId"]) == ("mine", "", "opp-1")
    workflow = await started(ada, again)
    assert (workflow["definitionVersion"], workflow["input"]) == (2, {"note": "mine"})


@pytest.mark.parametrize("how", [{}, {"inputSchema": {"type": "object"}}])
async def test_what_has_no_known_properties_is_started_with_any_input(
    ada: httpx.AsyncClient, how: Mapping[str, Any]
) -> None:
    await publish(ada, 1, how)
    form = form_with((await ada.get(f"{PAGE}?definition=review")).text, "Start")
    assert not (await started(ada, form)).get("input")
    given = {"key": "another", "input.input": '{"depth": 3}'}
    assert (await started(ada, {**form, **given}))["input"] == {"depth": 3}
