"""``X-Min-Position`` where another process keeps the documents up to date."""

import time

import anyio
import httpx
import pytest

from tests.chaos.conftest import LaunchOn
from tests.chaos.decisions import in_thread

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.cosmos]

PATH = "/api/v1/hitl/approvals"
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}

SAVED_WITHIN_SECONDS = 3.0
"""A position is saved after a second, at the next look at the log, which is another second away at most."""


async def test_a_query_waits_for_the_projector_of_another_process_and_a_stop_ends_the_wait(
    launch: LaunchOn,
) -> None:
    api = launch(SERVICE_ROLES="api,consumer").launch()
    projector = launch(SERVICE_ROLES="projector,publisher,scheduler").launch()
    for process in (api, projector):
        await in_thread(process.until_it_serves)
    async with api.async_client() as client:
        took = []
        for number in range(1, 6):
            made = await client.post(PATH, json=DEAL)
            began = time.monotonic()
            seen = await client.get(PATH, headers={"X-Min-Position": made.headers["x-position"]})
            took.append(time.monotonic() - began)
            assert seen.status_code == 200, seen.text
            assert seen.json()["total"] == number
        assert max(took) < SAVED_WITHIN_SECONDS, took

        await in_thread(projector.kill)
        made = await client.post(PATH, json=DEAL)
        headers = {"X-Min-Position": made.headers["x-position"], "Prefer": "wait=30"}
        answers: list[httpx.Response] = []

        async def wait() -> None:
            answers.append(await client.get(PATH, headers=headers))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.sleep(1)
            began = time.monotonic()
            assert await in_thread(api.terminate) == 0
            assert time.monotonic() - began < 3
    assert [each.json()["error"]["code"] for each in answers] == ["NOT_YET"]
