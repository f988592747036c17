"""The page of one workflow as it is answered, without a browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness import Service, service, settings_in
from tests.interfaces.slow_documents import SlowDocuments

pytestmark = pytest.mark.anyio

PAGE = "/console/workflows"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        yield running


async def begun(running: Service, **more: str) -> str:
    """The id of a workflow that waits for its services."""
    async with running.client(**{"X-User-ID": "ada"}) as asking:
        answer = await asking.post("/api/v1/workflows", json={"opportunityId": "opp-1", **more})
        await running.caught_up()
        return str(answer.json()["workflowId"])


@pytest.mark.parametrize(("late", "is_shown"), [(0.4, True), (30.0, False)])
async def test_its_steps_are_no_older_than_what_is_told_to_have_happened(
    running: Service, late: float, is_shown: bool
) -> None:
    id = await begun(running)
    slow = SlowDocuments(running, None, late)
    async with running.client(**{"X-User-ID": "ada"}) as ada:
        step = (await ada.get(f"/api/v1/workflows/{id}")).json()["steps"][0]
        done = f"/api/v1/workflows/{id}/steps/{step['stepId']}/complete"
        assert (await ada.post(done, json={"result": {}})).is_success
        page = (await ada.get(f"{PAGE}/{id}")).text
    slow.released.set()
    assert "workflow.step_completed" in page
    assert (f"<title>{step['stepType']}: completed</title>" in page) == is_shown


async def test_an_order_leads_back_to_the_items_where_it_was_given_and_to_the_newest_events(
    running: Service,
) -> None:
    id = await begun(running)
    async with running.client(**{"X-User-ID": "ada", "Origin": "http://localhost"}) as ada:
        address, form = f"{PAGE}/{id}", {"key": "k", "do": "pause", "reason": "so"}
        done = await ada.post(f"{address}?events=WyIxIl0&steps=WyIzIl0.WyI1Il0", data=form)
    assert (done.status_code, done.headers["location"]) == (303, f"{address}?steps=WyIzIl0.WyI1Il0")
