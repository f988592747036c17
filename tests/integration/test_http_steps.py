"""Steps of kind ``http``, from the dispatch to the end, against a neighbour in another process that is slow,
fails, hangs and lies."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from application.workflow_commands import CancelWorkflow, RetryWorkflow
from domain.definition import MapOver, Retry, StepDefinition, Work
from interfaces.scheduling.step_calls import StepCallLoop
from tests.application.test_http_requests import call
from tests.builders import CORRELATION, LEASE, OTHER_TENANT, TENANT, metadata
from tests.harness import eventually, service, settings_in
from tests.http_orchestrator import AGAIN_AT_ONCE, SERVICE, calling
from tests.integration.http_orchestrating import Orchestrator, is_empty, orchestrating, was_asked
from tests.lying_service import Neighbour, lying_service

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    with lying_service() as neighbour:
        yield neighbour


@pytest.fixture(scope="module")
def other() -> Iterator[Neighbour]:
    with lying_service() as neighbour:
        yield neighbour


@pytest.fixture
async def orchestrator(tmp_path: Path, neighbour: Neighbour) -> AsyncIterator[Orchestrator]:
    async with orchestrating(tmp_path, neighbour, timeout_seconds=1.0, circuit_failures=1000) as running:
        yield running


async def test_a_call_is_made_at_once_and_its_answer_is_the_steps_result(
    orchestrator: Orchestrator, neighbour: Neighbour
) -> None:
    workflow_id = await orchestrator.start(
        calling("/ok/{deal}", input={"deal": "input.deal", "amount": "input.amount"}),
        input={"deal": "d 1", "amount": 7},
    )
    began = time.monotonic()
    state = await orchestrator.ended(workflow_id)
    assert time.monotonic() - began < 0.9, "it waited for the next look at the list"
    result = state.results["call"]
    assert (result["method"], result["path"]) == ("POST", "/ok/d%201")
    assert json.loads(result["body"]) == {"amount": 7, "workflowId": workflow_id}
    (asked,) = neighbour.seen("/ok/d%201")
    headers = asked["headers"]
    assert headers["x-tenant-id"] == TENANT
    assert headers["x-correlation-id"] == CORRELATION
    assert headers["x-workflow-id"] == workflow_id
    assert headers["x-step-id"] == state.step("call").step_id
    assert headers["authorization"].startswith("Bearer ")
    assert headers["authorization"] not in repr(state)
    await eventually(lambda: is_empty(orchestrator))


async def test_an_answer_that_is_slow_but_in_time_is_taken(orchestrator: Orchestrator) -> None:
    assert (await orchestrator.ran(calling("/slow/0.5"))).status == "completed"


@pytest.mark.parametrize(
    ("path", "result"), [("/empty", None), ("/scalar", [1, None]), ("/accepted", {"queued": True})]
)
async def test_what_is_no_object_is_a_result_too(orchestrator: Orchestrator, path: str, result: Any) -> None:
    state = await orchestrator.ran(calling(path))
    assert (state.status, state.results["call"]) == ("completed", result)


@pytest.mark.parametrize(
    "path",
    [
        "/hang",
        "/headers_only",
        "/drip",
        "/short",
        "/reset",
        "/garbage",
        "/status/503",
        "/status/429",
        "/status/500",
    ],
)
async def test_who_is_away_fails_the_step_as_unavailable(orchestrator: Orchestrator, path: str) -> None:
    workflow_id = await orchestrator.start(calling(path))
    assert (await orchestrator.ended(workflow_id)).status == "failed"
    (failure,) = await orchestrator.failures(workflow_id)
    assert failure.reason == "unavailable"
    assert failure.error.startswith(SERVICE)


@pytest.mark.parametrize(
    "path",
    ["/html", "/invalid", "/deep/65", "/deep/100000", "/huge", "/endless", "/bomb", "/status/404", "/parrot"],
)
async def test_who_lies_or_refuses_fails_the_step_as_rejected(orchestrator: Orchestrator, path: str) -> None:
    workflow_id = await orchestrator.start(calling(path, retry=AGAIN_AT_ONCE))
    assert (await orchestrator.ended(workflow_id)).status == "failed"
    (failure,) = await orchestrator.failures(workflow_id)
    assert failure.reason == "rejected"
    assert len(failure.error) < 600
    assert "eyJ" not in failure.error, "it holds a token"


async def test_a_redirect_to_another_host_is_refused_and_nobody_is_asked_there(
    orchestrator: Orchestrator, other: Neighbour
) -> None:
    parameters = {"method": "GET"}
    workflow_id = await orchestrator.start(calling(f"/elsewhere/{other.port}", parameters=parameters))
    assert (await orchestrator.ended(workflow_id)).status == "failed"
    assert [each.reason for each in await orchestrator.failures(workflow_id)] == ["rejected"]
    assert other.seen() == []


@pytest.mark.parametrize("value", ["../admin", "..", "", "a/b", None])
async def test_input_that_would_lead_elsewhere_is_never_sent(
    orchestrator: Orchestrator, neighbour: Neighbour, value: Any
) -> None:
    before = len(neighbour.seen())
    workflow_id = await orchestrator.start(
        calling("/ok/{deal}", input={"deal": "input.deal"}), input={"deal": value}
    )
    assert (await orchestrator.ended(workflow_id)).status == "failed"
    assert [each.reason for each in await orchestrator.failures(workflow_id)] == ["rejected"]
    assert len(neighbour.seen()) == before


async def test_a_service_that_is_not_configured_is_not_called(orchestrator: Orchestrator) -> None:
    step = calling("/ok", parameters={"service": "http://169.254.169.254"})
    workflow_id = await orchestrator.start(step)
    assert (await orchestrator.ended(workflow_id)).status == "failed"
    assert [each.reason for each in await orchestrator.failures(workflow_id)] == ["rejected"]


async def test_every_try_has_the_same_key_and_the_last_ones_answer_counts(
    orchestrator: Orchestrator, neighbour: Neighbour
) -> None:
    workflow_id = await orchestrator.start(calling("/flaky/2/{workflowId}", retry=AGAIN_AT_ONCE))
    assert (await orchestrator.ended(workflow_id)).status == "completed"
    asked = neighbour.seen(f"/flaky/2/{workflow_id}")
    assert len(asked) == 3
    assert len({each["headers"]["idempotency-key"] for each in asked}) == 1
    assert len({each["headers"]["x-request-id"] for each in asked}) == 3


async def test_a_retried_workflow_calls_under_the_same_key(
    orchestrator: Orchestrator, neighbour: Neighbour
) -> None:
    workflow_id = await orchestrator.start(calling("/flaky/1/{workflowId}"))
    assert (await orchestrator.ended(workflow_id)).status == "failed"
    await orchestrator.service.container.dispatch(RetryWorkflow(meta=metadata(), workflow_id=workflow_id))
    assert (await orchestrator.ended(workflow_id)).status == "completed"
    keys = [each["headers"]["idempotency-key"] for each in neighbour.seen(f"/flaky/1/{workflow_id}")]
    assert len(keys) == 2
    assert len(set(keys)) == 1


async def test_a_steps_own_deadline_ends_its_call_and_the_timers_say_so(orchestrator: Orchestrator) -> None:
    workflow_id = await orchestrator.start(calling("/hang", timeout=0.4))
    assert (await orchestrator.ended(workflow_id)).status == "failed"
    assert [each.reason for each in await orchestrator.failures(workflow_id)] == ["timed_out"]
    assert await orchestrator.metric("http_step_calls_total", outcome="deadline") == 1
    await eventually(lambda: is_empty(orchestrator))


async def test_a_cancelled_step_is_let_go_of_at_once(tmp_path: Path, neighbour: Neighbour) -> None:
    async with orchestrating(tmp_path, neighbour, timeout_seconds=60) as orchestrator:
        workflow_id = await orchestrator.start(calling("/hang/{workflowId}"))
        await eventually(lambda: was_asked(neighbour, f"/hang/{workflow_id}"))
        order = CancelWorkflow(meta=metadata(), workflow_id=workflow_id, reason="no need")
        await orchestrator.service.container.dispatch(order)
        loop, _ = orchestrator.service.container.parts.shares[0].loops
        assert isinstance(loop, StepCallLoop)

        async def is_let_go() -> bool:
            return not loop._scopes and await is_empty(orchestrator)

        await eventually(is_let_go, seconds=3)


async def test_a_call_to_a_workflow_that_is_not_there_is_not_made(
    orchestrator: Orchestrator, neighbour: Neighbour
) -> None:
    """As after a backup was restored that is older than the list."""
    before = len(neighbour.seen())
    lost = call({"method": "GET", "path": "/ok"})
    calls = orchestrator.service.container.stores.shares[0].step_calls
    await calls.change(add=[lost], remove=(), lease=LEASE)
    await eventually(lambda: is_empty(orchestrator))
    assert len(neighbour.seen()) == before


async def test_a_hung_service_does_not_hold_up_the_others_nor_a_tenant_another(
    tmp_path: Path, neighbour: Neighbour, other: Neighbour
) -> None:
    folder = tmp_path
    settings = settings_in(
        folder,
        overlay={"services": {"timeout_seconds": 20, "calls_at_once": 8}},
        RISK_ANALYTICS_URL=neighbour.url,
        FORECASTING_URL=other.url,
    )
    async with service(settings) as running:
        orchestrator = Orchestrator(running)
        hung = [await orchestrator.start(calling(f"/hang/{number}")) for number in range(30)]
        await eventually(lambda: was_asked(neighbour, "/hang/3"))
        began = time.monotonic()
        elsewhere = await orchestrator.ran(calling("/ok", parameters={"service": "forecasting"}))
        of_another = await orchestrator.ran(calling("/ok"), tenant=OTHER_TENANT)
        assert (elsewhere.status, of_another.status) == ("completed", "completed")
        assert time.monotonic() - began < 3
        assert neighbour.most_at_once()[TENANT] <= 8
        for workflow_id in hung:
            assert (await orchestrator.state(workflow_id)).status == "running"


async def test_a_flood_is_worked_off_within_its_bounds(tmp_path: Path) -> None:
    with lying_service() as neighbour:
        async with orchestrating(tmp_path, neighbour, calls_at_once=8) as orchestrator:
            each = Work(
                kind="http",
                parameters={"service": SERVICE, "method": "GET", "path": "/slow/0.01/{index}"},
                input={"index": "index"},
            )
            step = StepDefinition(
                step_type="many",
                kind="map",
                result_key="many",
                critical=True,
                map=MapOver(over="input.list", each=each, at_once=300),
            )
            state = await orchestrator.ran(step, input={"list": list(range(300))})
            assert state.status == "completed"
            assert [result["path"] for result in state.results["many"]] == [
                f"/slow/0.01/{number}" for number in range(300)
            ]
            assert len(neighbour.seen()) == 300
            assert neighbour.most_at_once()[TENANT] == 4


async def test_a_service_that_is_away_is_left_alone_until_it_is_back(
    tmp_path: Path, neighbour: Neighbour
) -> None:
    async with orchestrating(tmp_path, neighbour, circuit_failures=3, circuit_seconds=1.0) as orchestrator:

        async def state_is(state: str) -> bool:
            return await orchestrator.metric("http_step_circuit", service=SERVICE, state=state) == 1

        assert await state_is("closed")
        for _ in range(3):
            await orchestrator.ran(calling("/status/503"))
        assert await state_is("open")
        assert (await orchestrator.ran(calling("/ok"), tenant=OTHER_TENANT)).status == "completed"
        before = len(neighbour.seen("/ok/circuit"))
        workflow_id = await orchestrator.start(
            calling("/ok/circuit", retry=Retry(attempts=30, delay_seconds=0.2, factor=1.0))
        )
        state = await orchestrator.ended(workflow_id)
        assert state.status == "completed"
        failures = await orchestrator.failures(workflow_id)
        assert failures
        assert all(each.reason == "unavailable" and "circuit open until" in each.error for each in failures)
        assert len(neighbour.seen("/ok/circuit")) == before + 1
        assert await state_is("closed")


async def test_a_500_of_one_steps_request_leaves_the_circuit_closed_for_the_others(
    tmp_path: Path, neighbour: Neighbour
) -> None:
    async with orchestrating(tmp_path, neighbour, circuit_failures=2) as orchestrator:
        for _ in range(4):
            await orchestrator.ran(calling("/status/500"))
        assert (await orchestrator.ran(calling("/ok"), tenant=OTHER_TENANT)).status == "completed"


async def test_what_came_of_calls_is_counted(orchestrator: Orchestrator) -> None:
    await orchestrator.ran(calling("/ok"))
    await orchestrator.ran(calling("/ok"))
    await orchestrator.ran(calling("/status/404"))
    await orchestrator.ran(calling("/status/503"))
    counted = {
        outcome: await orchestrator.metric("http_step_calls_total", service=SERVICE, outcome=outcome)
        for outcome in ("completed", "rejected", "unavailable")
    }
    assert counted == {"completed": 2, "rejected": 1, "unavailable": 1}
    assert await orchestrator.metric("http_step_call_duration_seconds_count", service=SERVICE) == 4
