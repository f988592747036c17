"""Which calls are noted, struck out, and told of."""

from collections.abc import Collection, Sequence

import pytest

from application.http_requests import request_of
from application.policies.http_steps import HttpSteps, call_id
from application.ports import StepCall
from domain import workflow
from domain.definition import Work
from domain.event import Event, Recorded
from domain.lease import Lease
from domain.workflow import StepCancelled, StepCompleted, StepDispatched, workflow_stream
from tests.builders import CORRELATION, LEASE, NOW, TENANT, after, recorded
from tests.domain.plans import Run, step

pytestmark = pytest.mark.anyio

STREAM = workflow_stream(TENANT, "w-1")


class KeptCalls:
    """Calls in memory, and how often they were changed."""

    def __init__(self) -> None:
        self.kept: dict[str, StepCall] = {}
        self.changes = 0

    async def change(self, *, add: Sequence[StepCall], remove: Sequence[str], lease: Lease) -> None:
        self.changes += 1
        self.kept |= {call.id: call for call in add}
        for id in remove:
            self.kept.pop(id, None)

    async def waiting(self, *, each: int, besides: Collection[str]) -> Sequence[StepCall]:
        return [call for id, call in self.kept.items() if id not in besides]


def dispatched(*, attempt: int = 1, kind: str = "http", step: str = "step-1") -> StepDispatched:
    return StepDispatched(
        workflow_id="w-1",
        execution_id="e-1",
        step_id=step,
        step_type="score",
        kind=kind,
        parameters={"service": "ml_service", "method": "POST", "path": "/v1", "accepted": True},
        input={"a": [1, {"b": None}]},
        attempt=attempt,
        dispatched_at=NOW,
        deadline_at=after(minutes=1),
    )


def cancelled(*, attempt: int = 1, kind: str = "http", step: str = "step-1") -> StepCancelled:
    return StepCancelled(
        workflow_id="w-1",
        execution_id="e-1",
        step_id=step,
        step_type="score",
        kind=kind,
        attempt=attempt,
        cancelled_at=NOW,
    )


def events(*given: Event) -> tuple[Recorded, ...]:
    return recorded(STREAM, given)


async def test_what_is_undone_once_more_is_another_request_for_the_service() -> None:
    undo = Work(kind="http", parameters={"service": "stock", "method": "POST", "path": "/releases"})
    run = Run.of(step("reserve", compensation=undo), step("other"))
    run = run.completed("reserve", "other")
    run = run.so(run.ordered(workflow.retry, from_step="reserve"))
    run = run.so(run.ordered(workflow.cancel, reason="no")).completed("reserve", "reserve.compensation")
    calls = KeptCalls()
    steps = HttpSteps(calls)
    await steps.handle([each for each in events(*run.events) if steps.wants(each.event)], LEASE)
    keys = [request_of(call).headers["Idempotency-Key"] for call in calls.kept.values()]
    assert (len(keys), len(set(keys))) == (2, 2)


async def test_a_dispatch_is_noted_with_all_that_the_call_needs() -> None:
    calls = KeptCalls()
    (event,) = events(dispatched())
    await HttpSteps(calls).handle([event], LEASE)
    (call,) = calls.kept.values()
    assert call.id == call_id("step-1", 1)
    assert (call.service, call.workflow_id, call.step_type, call.attempt) == ("ml_service", "w-1", "score", 1)
    assert call.parameters["accepted"] is True
    assert call.input == {"a": [1, {"b": None}]}
    assert (call.dispatched_at, call.deadline_at) == (NOW, after(minutes=1))
    assert (call.meta.tenant, call.meta.correlation_id) == (TENANT, CORRELATION)
    assert (call.meta.causation_id, call.meta.command_id) == (event.event_id, call.id)


async def test_a_batch_handled_again_notes_the_same_calls() -> None:
    once, twice = KeptCalls(), KeptCalls()
    batch = events(dispatched(), dispatched(step="step-2"), dispatched(attempt=2))
    await HttpSteps(once).handle(batch, LEASE)
    for _ in range(2):
        await HttpSteps(twice).handle(batch, LEASE)
    assert once.kept == twice.kept
    assert len(once.kept) == 3


async def test_a_cancelled_step_s_call_is_struck_out_and_whoever_makes_it_is_told() -> None:
    calls, told = KeptCalls(), list[Sequence[str]]()
    steps = HttpSteps(calls, on_change=told.append)
    await steps.handle(events(dispatched(), dispatched(step="step-2")), LEASE)
    await steps.handle(events(cancelled()), LEASE)
    assert list(calls.kept) == [call_id("step-2", 1)]
    assert told == [[], [call_id("step-1", 1)]]


async def test_one_that_is_cancelled_within_the_batch_is_never_noted() -> None:
    calls = KeptCalls()
    await HttpSteps(calls).handle(events(dispatched(), cancelled(), dispatched(attempt=2)), LEASE)
    assert list(calls.kept) == [call_id("step-1", 2)]


def test_only_what_concerns_calls_is_wanted() -> None:
    steps = HttpSteps(KeptCalls())
    assert steps.wants(dispatched())
    assert steps.wants(cancelled())
    assert not steps.wants(dispatched(kind="event"))
    assert not steps.wants(cancelled(kind="task"))
    completed = StepCompleted(
        workflow_id="w-1",
        execution_id="e-1",
        step_id="step-1",
        step_type="score",
        attempt=1,
        result={},
        completed_at=NOW,
    )
    assert not steps.wants(completed)
