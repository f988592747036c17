"""Load, decide, append: what each handler adds to the rules, on a real log."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from application.approval_commands import ApproveApproval, RejectApproval, RequestApproval
from application.catalogue import ShippedDefinitions
from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.workflow_commands import CompleteStep, FailStep, RetryWorkflow, StartWorkflow, TimeOutStep
from application.workflows import WorkflowHandlers
from domain.approval import ApprovalRejected, ApprovalRequested, Ballot, digest_of
from domain.definition import OPPORTUNITY_ANALYSIS
from domain.errors import (
    ApprovalNotFound,
    ApprovalNotPending,
    DefinitionNotFound,
    VersionMismatch,
    WorkflowNotFound,
)
from domain.workflow import StepFailed, WorkflowRetried, WorkflowStarted
from tests.application.logs import OpenLogs, open_logs, sqlite_settings
from tests.approvals import approval_handlers
from tests.builders import NOW, OTHER_TENANT, SettableClock, after, metadata

pytestmark = pytest.mark.anyio


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[OpenLogs]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield logs


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def dispatch(logs: OpenLogs, clock: SettableClock) -> Dispatcher:
    store = logs.store()
    return Dispatcher(
        approval_handlers(store, clock),
        WorkflowHandlers(store, clock, ShippedDefinitions([OPPORTUNITY_ANALYSIS])).handlers(),
    )


DIGEST = digest_of(opportunity_id="opp-1", amount=2, risk_score=1, payload=None, bound_to=None)


def request(**more: Any) -> RequestApproval:
    fields: dict[str, Any] = {"approval_id": "a-1", "opportunity_id": "opp-1", "risk_score": 1, "amount": 2}
    return RequestApproval(meta=metadata(), **{**fields, **more})


def start(**more: Any) -> StartWorkflow:
    fields: dict[str, Any] = {
        "workflow_id": "w-1",
        "opportunity_id": "opp-1",
        "definition": "opportunity-analysis",
    }
    return StartWorkflow(meta=metadata(), **{**fields, **more})


def events_of(committed: Committed) -> list[object]:
    return [recorded.event for recorded in committed.new]


async def test_an_approval_is_requested_now_if_nothing_is_said(dispatch: Dispatcher) -> None:
    (requested,) = events_of(await dispatch(request()))
    assert isinstance(requested, ApprovalRequested)
    assert requested.requested_at == NOW
    (requested,) = events_of(await dispatch(request(approval_id="a-2", requested_at=after(hours=-1))))
    assert isinstance(requested, ApprovalRequested)
    assert requested.requested_at == after(hours=-1)


async def test_an_approval_requested_twice_is_one_approval(dispatch: Dispatcher) -> None:
    await dispatch(request())
    again = await dispatch(request(amount=3))
    assert (again.version, again.new) == (1, ())


async def test_of_two_decisions_the_first_counts_and_the_second_is_refused(dispatch: Dispatcher) -> None:
    await dispatch(request())
    (rejected,) = events_of(
        await dispatch(
            RejectApproval(meta=metadata(), approval_id="a-1", ballot=Ballot(by="ann", comment="no"))
        )
    )
    assert rejected == ApprovalRejected(
        approval_id="a-1",
        opportunity_id="opp-1",
        decided_by="ann",
        decided_at=NOW,
        comment="no",
        digest=DIGEST,
    )
    with pytest.raises(ApprovalNotPending):
        await dispatch(ApproveApproval(meta=metadata(), approval_id="a-1", ballot=Ballot(by="bob")))


async def test_an_approval_that_is_not_there_or_is_another_tenants_cannot_be_decided(
    dispatch: Dispatcher,
) -> None:
    await dispatch(request())
    for meta, approval in ((metadata(), "a-2"), (metadata(tenant=OTHER_TENANT), "a-1")):
        with pytest.raises(ApprovalNotFound):
            await dispatch(ApproveApproval(meta=meta, approval_id=approval, ballot=Ballot(by="ann")))


async def test_a_decision_on_a_version_that_the_approval_no_longer_has_is_refused(
    dispatch: Dispatcher,
) -> None:
    await dispatch(request())
    with pytest.raises(VersionMismatch):
        await dispatch(
            ApproveApproval(meta=metadata(), approval_id="a-1", ballot=Ballot(by="ann"), expected_version=7)
        )


async def test_a_workflow_started_twice_is_one_workflow(dispatch: Dispatcher) -> None:
    assert isinstance(events_of(await dispatch(start(version=1)))[0], WorkflowStarted)
    again = await dispatch(start())
    assert (again.version, again.new) == (5, ())


async def test_a_definition_that_does_not_exist_starts_nothing(dispatch: Dispatcher) -> None:
    for wrong in ({"definition": "closing"}, {"version": 2}, {"version": 0}):
        with pytest.raises(DefinitionNotFound):
            await dispatch(start(**wrong))


async def test_no_command_but_a_start_makes_a_workflow(dispatch: Dispatcher) -> None:
    await dispatch(start())
    for meta, workflow in ((metadata(), "w-2"), (metadata(tenant=OTHER_TENANT), "w-1")):
        for command in (
            CompleteStep(meta=meta, workflow_id=workflow, step="forecast", result={}),
            FailStep(meta=meta, workflow_id=workflow, step="forecast", error="no"),
            TimeOutStep(meta=meta, workflow_id=workflow, step="forecast", attempt=1, due_at=NOW),
            RetryWorkflow(meta=meta, workflow_id=workflow),
        ):
            with pytest.raises(WorkflowNotFound):
                await dispatch(command)


async def test_a_workflow_fails_is_retried_and_times_out_by_the_clock(
    dispatch: Dispatcher, clock: SettableClock
) -> None:
    await dispatch(start())
    await dispatch(FailStep(meta=metadata(), workflow_id="w-1", step="forecast", error="no data"))
    clock.advance(minutes=1)
    (retried, _) = events_of(await dispatch(RetryWorkflow(meta=metadata(), workflow_id="w-1")))
    assert isinstance(retried, WorkflowRetried)
    assert retried.retried_at == after(minutes=1)

    def time_out(due_at: datetime) -> TimeOutStep:
        return TimeOutStep(meta=metadata(), workflow_id="w-1", step="forecast", attempt=2, due_at=due_at)

    clock.advance(minutes=14)
    assert (await dispatch(time_out(after(minutes=15)))).new == ()
    clock.advance(minutes=1)
    failed = events_of(await dispatch(time_out(after(minutes=16))))[0]
    assert isinstance(failed, StepFailed)
    assert (failed.reason, failed.failed_at) == ("timed_out", after(minutes=16))


async def test_a_clock_that_was_set_back_does_not_save_a_step_whose_timer_was_due(
    dispatch: Dispatcher, clock: SettableClock
) -> None:
    await dispatch(start())
    clock.advance(minutes=-60)
    due = TimeOutStep(
        meta=metadata(), workflow_id="w-1", step="forecast", attempt=1, due_at=after(minutes=15)
    )
    failed = events_of(await dispatch(due))[0]
    assert isinstance(failed, StepFailed)
    assert failed.failed_at == after(minutes=15)
