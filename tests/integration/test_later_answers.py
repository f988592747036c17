"""``http`` steps whose call was answered 202: the result comes later, by a message or by hand."""

import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import anyio
import pytest

from application.workflow_commands import CompleteStep
from domain.definition import Retry
from interfaces.messaging.envelope import Delivery
from tests.builders import OTHER_TENANT, TENANT, metadata
from tests.harness import eventually
from tests.http_orchestrator import calling
from tests.integration.http_orchestrating import Orchestrator, is_empty, orchestrating, was_asked
from tests.lying_service import Neighbour, lying_service

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    with lying_service() as neighbour:
        yield neighbour


@pytest.fixture
async def orchestrator(tmp_path: Path, neighbour: Neighbour) -> AsyncIterator[Orchestrator]:
    async with orchestrating(tmp_path, neighbour, timeout_seconds=1.0, circuit_failures=1000) as running:
        yield running


async def test_a_step_that_was_accepted_waits_for_its_answer_and_is_not_called_again(
    orchestrator: Orchestrator, neighbour: Neighbour
) -> None:
    workflow_id = await orchestrator.start(calling("/accepted/{workflowId}", parameters={"accepted": True}))
    await eventually(lambda: was_asked(neighbour, f"/accepted/{workflow_id}"))
    await eventually(lambda: is_empty(orchestrator))
    await anyio.sleep(1.5)
    assert (await orchestrator.state(workflow_id)).step("call").status == "running"
    answer = CompleteStep(meta=metadata(), workflow_id=workflow_id, step="call", result={"late": True})
    await orchestrator.service.container.dispatch(answer)
    assert (await orchestrator.ended(workflow_id)).results == {"call": {"late": True}}
    assert len(neighbour.seen(f"/accepted/{workflow_id}")) == 1


async def test_an_accepted_step_without_replies_is_ended_by_hand_and_by_no_message_but_the_platforms_own(
    orchestrator: Orchestrator, neighbour: Neighbour
) -> None:
    """As ``docs/step-kinds.md`` says: the neighbours' answers go by the step's type, unless by its id."""
    accepted = {"accepted": True}
    workflow_id = await orchestrator.start(
        calling("/accepted/call/{workflowId}", parameters=accepted),
        calling("/accepted/forecast/{workflowId}", step_type="forecast", parameters=accepted),
    )
    for step_type in ("call", "forecast"):
        await eventually(partial(was_asked, neighbour, f"/accepted/{step_type}/{workflow_id}"))
    headers = neighbour.seen(f"/accepted/call/{workflow_id}")[0]["headers"]
    answer = {"forecastId": "f-1", "revenueForecast": 7, "confidence": 1}
    outcomes = []
    for step_id in ({"stepId": headers["x-step-id"]}, {}):
        data = {"workflowId": workflow_id, **step_id, **answer}
        message = {"id": str(uuid4()), "type": "forecast.completed", "tenantId": TENANT, "data": data}
        delivery = Delivery(body=json.dumps(message).encode())
        outcomes.append(await orchestrator.service.container.consumer.consume(delivery, _park_nothing))
    assert outcomes == ["without_effect", "handled"]
    state = await orchestrator.state(workflow_id)
    assert [state.step(each).status for each in ("call", "forecast")] == ["running", "completed"]
    assert state.results == {"forecast": answer}
    path = f"/api/v1/workflows/{headers['x-workflow-id']}/steps/{headers['x-step-id']}/complete"
    token = {"Authorization": headers["authorization"]}
    async with orchestrator.service.client(**token) as client:
        assert (await client.post(path, json={"result": {"late": True}})).status_code == 200
    assert (await orchestrator.ended(workflow_id)).results == {"call": {"late": True}, "forecast": answer}


async def test_an_accepted_step_that_is_out_of_time_is_asked_for_again_under_the_same_key(
    orchestrator: Orchestrator, neighbour: Neighbour
) -> None:
    again = Retry(attempts=2, delay_seconds=0.1, jitter=0.0)
    step = calling("/accepted/{workflowId}", timeout=0.5, retry=again, parameters={"accepted": True})
    workflow_id = await orchestrator.start(step)
    assert (await orchestrator.ended(workflow_id)).status == "failed"
    assert [each.reason for each in await orchestrator.failures(workflow_id)] == ["timed_out", "timed_out"]
    asked = neighbour.seen(f"/accepted/{workflow_id}")
    assert len(asked) == 2
    assert len({each["headers"]["idempotency-key"] for each in asked}) == 1


@pytest.mark.parametrize("comes_early", [False, True])
async def test_an_accepted_step_is_ended_by_a_message_that_its_definition_names(
    orchestrator: Orchestrator, neighbour: Neighbour, comes_early: bool
) -> None:
    replies = [
        {"type": "model.was.trained", "result": {"model": "data.model.id"}},
        {"type": "model.was.refused", "failed": True},
    ]
    later = {"accepted": True, "replies": replies, "correlation": {"deal": "data.deal"}}
    path = "/slow/0.5" if comes_early else "/accepted"
    steps = [
        calling(f"{path}/{{deal}}", step_type=name, input={"deal": f"input.{name}"}, parameters=later)
        for name in ("first", "second")
    ]
    deals = {name: f"{name}-{uuid4()}" for name in ("first", "second")}
    workflow_id = await orchestrator.start(*steps, input=deals)
    for deal in deals.values():
        await eventually(partial(was_asked, neighbour, f"{path}/{deal}"))
    for tenant, message_type, deal, more in (
        (TENANT, "model.was.trained", "another", {}),
        (OTHER_TENANT, "model.was.refused", deals["second"], {"error": "not yours"}),
        (TENANT, "model.was.trained", deals["second"], {"model": {"id": 7}}),
        (TENANT, "model.was.refused", deals["first"], {"error": "too few deals"}),
    ):
        data = {"workflowId": workflow_id, "deal": deal, **more}
        message = {"id": str(uuid4()), "type": message_type, "tenantId": tenant, "data": data}
        consumer = orchestrator.service.container.consumer
        await consumer.consume(Delivery(body=json.dumps(message).encode()), _park_nothing)
    state = await orchestrator.ended(workflow_id)
    assert state.results == {"second": {"model": 7}}
    assert [each.error for each in await orchestrator.failures(workflow_id)] == ["too few deals"]
    await eventually(lambda: is_empty(orchestrator))
    assert (await orchestrator.state(workflow_id)).results == {"second": {"model": 7}}


async def _park_nothing(delivery: Delivery, reason: str) -> None:
    raise AssertionError(reason)
