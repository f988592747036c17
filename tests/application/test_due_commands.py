"""A command whose time has come is carried out then at the earliest, however far the clock was set back."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from application.approval_commands import ExpireApproval, RequestApproval
from application.catalogue import ShippedDefinitions
from application.command import Command
from application.concurrency import ConcurrencyHandlers
from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.pacing import StartPace
from application.task_commands import ClaimTask, ExpireTaskLease, OfferTask
from application.tasks import TaskHandlers
from application.workflow_commands import (
    FailStep,
    PassDeadline,
    PassDebounce,
    RequestRun,
    StartWorkflow,
    TryStepAgain,
)
from application.workflows import WorkflowHandlers
from domain.approval import ApprovalExpired
from domain.concurrency import StartDebounced, StartGranted
from domain.definition import Concurrency, Retry, StepDefinition, WorkflowDefinition
from domain.event import Event
from domain.task import TaskLeaseExpired
from domain.workflow import StepDispatched, WorkflowFailed
from tests.application.logs import open_logs, sqlite_settings
from tests.approvals import approval_handlers
from tests.builders import SettableClock, after, metadata

pytestmark = pytest.mark.anyio

DEBOUNCED = WorkflowDefinition(
    name="debounced",
    version=1,
    steps=(StepDefinition(step_type="work", result_key="work", retry=Retry(attempts=2, jitter=0.0)),),
    concurrency=Concurrency(policy="queue", debounce_seconds=60.0),
    deadline_seconds=900.0,
)
DUE = after(minutes=15)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def dispatch(tmp_path: Path, clock: SettableClock) -> Iterator[Dispatcher]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        store = logs.store()
        workflows = WorkflowHandlers(store, clock, ShippedDefinitions([DEBOUNCED]))
        runs = ConcurrencyHandlers(store, clock, workflows, StartPace(1_000, burst=1_000))
        yield Dispatcher(
            approval_handlers(store, clock),
            workflows.handlers(),
            runs.handlers(),
            TaskHandlers(store, clock).handlers(),
        )


def command(kind: type[Command], **fields: Any) -> Command:
    return kind(meta=metadata(), **fields)


def started() -> Command:
    return command(StartWorkflow, workflow_id="w-1", opportunity_id="opp-1", definition="debounced")


def events_of(committed: Committed) -> list[Event]:
    return [recorded.event for recorded in committed.new]


async def after_the_clock_was_set_back(
    dispatch: Dispatcher, clock: SettableClock, kind: type[Command], due_at: datetime, **fields: Any
) -> list[Event]:
    clock.advance(hours=-1)
    return events_of(await dispatch(command(kind, due_at=due_at, **fields)))


async def test_an_approval_expires(dispatch: Dispatcher, clock: SettableClock) -> None:
    asked = {"opportunity_id": "opp-1", "risk_score": 1, "amount": 2, "due_at": DUE}
    await dispatch(command(RequestApproval, approval_id="a-1", **asked))
    (expired,) = await after_the_clock_was_set_back(dispatch, clock, ExpireApproval, DUE, approval_id="a-1")
    assert isinstance(expired, ApprovalExpired)


async def test_a_lease_ends(dispatch: Dispatcher, clock: SettableClock) -> None:
    step = {"workflow_id": "w-1", "step_id": "s-1", "step_type": "work", "attempt": 1}
    await dispatch(command(OfferTask, task_id="t-1", queue="q", input={}, deadline_at=None, **step))
    claim = {"worker_id": "bob", "lease_digest": "digest", "lease_seconds": 900.0}
    await dispatch(command(ClaimTask, task_id="t-1", **claim))
    (ended,) = await after_the_clock_was_set_back(dispatch, clock, ExpireTaskLease, DUE, task_id="t-1")
    assert isinstance(ended, TaskLeaseExpired)


async def test_a_start_has_waited_for_long_enough(dispatch: Dispatcher, clock: SettableClock) -> None:
    asked = {"workflow_id": "w-1", "opportunity_id": "opp-1", "definition": "debounced"}
    (waits,) = events_of(await dispatch(command(RequestRun, **asked)))
    assert isinstance(waits, StartDebounced)
    (granted,) = await after_the_clock_was_set_back(
        dispatch, clock, PassDebounce, waits.due_at, group=waits.group, workflow_id="w-1"
    )
    assert isinstance(granted, StartGranted)


async def test_a_step_is_tried_again(dispatch: Dispatcher, clock: SettableClock) -> None:
    await dispatch(started())
    await dispatch(command(FailStep, workflow_id="w-1", step="work", error="no"))
    (again,) = await after_the_clock_was_set_back(
        dispatch, clock, TryStepAgain, after(seconds=1), workflow_id="w-1", step="work", attempt=1
    )
    assert isinstance(again, StepDispatched)


async def test_a_workflow_is_out_of_time(dispatch: Dispatcher, clock: SettableClock) -> None:
    begun = (await dispatch(started())).past.state
    events = await after_the_clock_was_set_back(
        dispatch, clock, PassDeadline, DUE, workflow_id="w-1", execution_id=begun.execution_id
    )
    assert isinstance(events[-1], WorkflowFailed)
