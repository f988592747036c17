"""Events in, documents out: what each container holds, to the field."""

from typing import Any

import msgspec
import pytest

from domain.approval import ApprovalRejected, ApprovalRequested, approval_stream
from domain.event import Recorded, type_registry
from domain.job import JobFired, job_stream, run_id
from domain.values import derived_id
from domain.workflow import StepFailed, fail_step, retry_step, workflow_stream
from projections.approvals import Approvals
from projections.executions import Executions
from projections.job_runs import JobRuns
from projections.projection import Projection, ProjectionGap, document_of, interest_of
from projections.steps import Steps
from projections.workflows import Workflows
from tests.builders import CORRELATION, NOW, TENANT, USER, after, metadata, recorded
from tests.domain.plans import ONCE_MORE, Run, step
from tests.projections.stories import PROJECTIONS, approval_story, job_story, workflow_story
from tests.samples import SAMPLES
from tests.samples_approvals import STEP

STEPS = ("risk_analysis", "risk_scoring", "forecast", "recommendation")
FIRST, SECOND = derived_id("execution", "w-1", "1"), derived_id("execution", "w-1", "2")

UNSEEN = {
    *(topic for topic in type_registry if topic.startswith("concurrency.")),
    *("job.backfill_cancelled", "job.paused", "job.resumed", "backfill.admitted", "backfill.left"),
    *("privacy.erasure_carried_out", "request.accepted"),
}
"""A group has no document: what it decides shows in its workflows'. Nor has a job: its runs and its backfills
have."""

Json = dict[str, Any]


def step_id(step: str) -> str:
    return derived_id("step", "w-1", step)


def document(projection: Projection, id: str, events: list[Recorded]) -> Json:
    body: Json = msgspec.json.decode(document_of(projection, id, events))
    return body


def workflow(events: list[Recorded]) -> Json:
    return document(Workflows(), "w-1", events)


def running(step: str) -> Json:
    return {
        "stepId": step_id(step),
        "workflowId": "w-1",
        "executionId": FIRST,
        "stepType": step,
        "kind": "event",
        "after": [],
        "critical": step in ("risk_analysis", "forecast"),
        "status": "running",
        "attempt": 1,
        "startedAt": "2026-11-22T22:10:05.123Z",
        "deadlineAt": "2026-11-22T22:25:05.123Z",
    }


def test_a_started_workflow_is_a_document_with_its_steps() -> None:
    assert workflow(workflow_story()) == {
        "id": "w-1",
        "workflowId": "w-1",
        "tenantId": TENANT,
        "opportunityId": "opp-1",
        "definition": "opportunity-analysis",
        "definitionVersion": 1,
        "executionId": FIRST,
        "status": "running",
        "steps": [running(step) for step in STEPS],
        "startedAt": "2026-11-22T22:10:05.123Z",
        "createdAt": "2026-11-22T22:10:05.123Z",
        "updatedAt": "2026-11-22T22:10:05.127Z",
    }


def test_a_step_that_is_planned_but_not_dispatched_yet_is_pending() -> None:
    steps = workflow(workflow_story()[:1])["steps"]
    assert [(step["status"], step["attempt"]) for step in steps] == [("pending", 0)] * 4
    assert all("deadlineAt" not in step for step in steps)


def test_the_input_of_a_workflow_is_shown_where_there_is_one() -> None:
    started = SAMPLES["workflow.started"]
    assert document(Workflows(), "w-1", [started])["input"] == {
        "reason": "won",
        "contacts": ["ann", "bob"],
    }
    assert "input" not in workflow(workflow_story())


def test_an_answer_is_the_steps_result() -> None:
    document = workflow(workflow_story(("answer", "forecast")))
    assert document["steps"][2] == {
        **running("forecast"),
        "status": "completed",
        "result": {"of": "forecast"},
        "completedAt": "2026-11-22T22:11:05.123Z",
    }
    assert document["steps"][0] == running("risk_analysis")
    assert document["updatedAt"] == "2026-11-22T22:11:05.123Z"
    assert document["status"] == "running"


def test_a_completed_workflow_shows_its_results_and_when() -> None:
    document = workflow(workflow_story(*(("answer", step) for step in STEPS)))
    assert document["status"] == "completed"
    assert document["results"] == {
        "risk": {"of": "risk_analysis"},
        "scoring": {"of": "risk_scoring"},
        "forecast": {"of": "forecast"},
        "recommendations": {"of": "recommendation"},
    }
    assert document["completedAt"] == "2026-11-22T22:14:05.123Z"
    assert not {"error", "failedStep"} & set(document)


def test_a_failed_workflow_shows_why_and_where() -> None:
    document = workflow(workflow_story(("failure", "forecast")))
    assert (document["status"], document["error"], document["failedStep"]) == (
        "failed",
        "forecast failed",
        "forecast",
    )
    assert document["completedAt"] == "2026-11-22T22:11:05.123Z"
    assert document["steps"][2]["status"] == "failed"
    assert document["steps"][2]["error"] == "forecast failed"
    assert "results" not in document


def test_a_late_answer_shows_in_its_step_and_does_not_revive_the_workflow() -> None:
    document = workflow(workflow_story(("failure", "forecast"), ("answer", "risk_analysis")))
    assert document["steps"][0]["status"] == "completed"
    assert (document["status"], document["completedAt"]) == ("failed", "2026-11-22T22:11:05.123Z")


def test_a_retried_workflow_runs_again_and_forgets_how_it_had_ended() -> None:
    document = workflow(workflow_story(("answer", "risk_analysis"), ("failure", "forecast"), ("retry", "")))
    assert (document["status"], document["executionId"]) == ("running", SECOND)
    assert not {"error", "failedStep", "completedAt", "results"} & set(document)
    assert document["steps"][0]["result"] == {"of": "risk_analysis"}
    assert document["steps"][2] == {
        **running("forecast"),
        "executionId": SECOND,
        "attempt": 2,
        "startedAt": "2026-11-22T22:13:05.123Z",
        "deadlineAt": "2026-11-22T22:28:05.123Z",
    }


def test_a_step_has_a_document_of_its_own_with_the_same_fields() -> None:
    story = workflow_story(("failure", "forecast"), ("retry", ""), ("answer", "forecast"))
    step = document(Steps(), step_id("forecast"), story)
    assert step == {
        "id": step_id("forecast"),
        "tenantId": TENANT,
        "createdAt": "2026-11-22T22:10:05.123Z",
        **workflow(story)["steps"][2],
    }
    assert (step["status"], step["attempt"], step["result"]) == ("completed", 2, {"of": "forecast"})
    assert "error" not in step


def test_a_step_names_the_workflow_that_it_runs_and_that_names_its_parent() -> None:
    plan = step("run", kind="workflow", parameters={"definition": "other"})
    run = Run.of(plan, step("rest"))
    begun = recorded(workflow_stream(TENANT, "w-1"), run.events)
    child = derived_id("child", step_id("run"), "1")
    assert [each.get("childWorkflowId") for each in workflow(list(begun))["steps"]] == [child, None]
    assert document(Steps(), step_id("run"), list(begun))["childWorkflowId"] == child
    for reason, shown in (("reported", child), ("rejected", None)):
        failed = fail_step(run.state, step_type="run", error="no", now=NOW, reason=reason)  # type: ignore[arg-type]
        events = recorded(workflow_stream(TENANT, "w-1"), [*run.events, *failed])
        assert workflow(list(events))["steps"][0].get("childWorkflowId") == shown
    parent = document(Workflows(), "w-1", [SAMPLES["workflow.started"]])["parent"]
    assert parent == {"workflowId": STEP.workflow_id, "stepId": STEP.step_id}


@pytest.mark.parametrize(
    ("kind", "name", "is_there_when_rejected"), [("approval", "approvalId", False), ("task", "taskId", True)]
)
def test_a_step_names_the_approval_or_the_task_that_it_waits_for(
    kind: str, name: str, is_there_when_rejected: bool
) -> None:
    run = Run.of(step("run", kind=kind, retry=ONCE_MORE), step("rest"))
    for attempt, turn in enumerate((run, run.failed("run").so(run.failed("run").tried_again("run"))), 1):
        events = list(recorded(workflow_stream(TENANT, "w-1"), turn.events))
        wanted = derived_id(kind, step_id("run"), str(attempt))
        assert [each.get(name) for each in workflow(events)["steps"]] == [wanted, None]
        assert document(Steps(), step_id("run"), events)[name] == wanted
    rejected = recorded(workflow_stream(TENANT, "w-1"), run.failed("run", reason="rejected").events)
    assert (name in workflow(list(rejected))["steps"][0]) == is_there_when_rejected


def test_a_step_that_is_looked_at_again_is_pending_as_it_was_before_it_was_skipped() -> None:
    run = Run.of(step("a"), step("b", after=["a"], when="results.a"), step("c"))
    before = document(Steps(), step_id("b"), list(recorded(workflow_stream(TENANT, "w-1"), run.events)))
    run = run.failed("a")
    run = run.so(run.ordered(retry_step, step_id="a"))
    events = list(recorded(workflow_stream(TENANT, "w-1"), run.events))
    assert document(Steps(), step_id("b"), events) == before
    for container, id in ((Workflows(), "w-1"), (Executions(), before["executionId"])):
        shown = document(container, id, events)["steps"]
        assert [each["status"] for each in shown] == ["running", "pending", "running"]


def test_each_execution_keeps_how_it_ended_and_the_steps_as_they_stood() -> None:
    story = workflow_story(
        ("answer", "risk_analysis"),
        ("failure", "forecast"),
        ("answer", "risk_scoring"),
        ("retry", ""),
        ("answer", "forecast"),
        ("answer", "recommendation"),
    )
    first = document(Executions(), FIRST, story)
    assert (first["attempt"], first["status"], first["failedStep"]) == (1, "failed", "forecast")
    assert first["startedAt"] == "2026-11-22T22:10:05.123Z"
    assert first["completedAt"] == "2026-11-22T22:12:05.123Z"
    assert [step["status"] for step in first["steps"]] == ["completed", "completed", "failed", "running"]

    second = document(Executions(), SECOND, story)
    assert (second["attempt"], second["status"]) == (2, "completed")
    assert (second["workflowId"], second["tenantId"], second["id"]) == ("w-1", TENANT, SECOND)
    assert second["startedAt"] == "2026-11-22T22:14:05.123Z"
    assert second["completedAt"] == "2026-11-22T22:16:05.123Z"
    assert set(second["results"]) == {"risk", "scoring", "forecast", "recommendations"}
    assert [step["status"] for step in second["steps"]] == ["completed"] * 4
    assert "failedStep" not in second


def test_a_pending_approval_shows_what_was_asked() -> None:
    assert document(Approvals(), "a-1", approval_story()) == {
        "id": "a-1",
        "tenantId": TENANT,
        "opportunityId": "opp-1",
        "riskScore": 0.9,
        "amount": 100,
        "requestedAt": "2026-11-22T22:10:05.123Z",
        "status": "pending",
        "createdAt": "2026-11-22T22:10:05.123Z",
        "updatedAt": "2026-11-22T22:10:05.123Z",
        "payloadDigest": "sha256:85c33c44dda6d78e4626f687a565b97026eda10efc5d97705b3d2b154a4ab64f",
        "assignees": ["anyone"],
        "settled": [],
    }


def test_an_approval_shows_everything_else_that_it_was_given() -> None:
    shown = document(Approvals(), "a-1", [SAMPLES["approval.requested"]])
    assert shown["ownerId"] == "owner-1"
    assert shown["approverId"] == "approver-1"
    assert shown["recipientId"] == "recipient-1"
    assert shown["correlationId"] == CORRELATION
    assert shown["approvalUrl"] == "https://crm.example/approvals/a-1?näme=ü"


@pytest.mark.parametrize(("decision", "status"), [("approve", "approved"), ("reject", "rejected")])
def test_a_decided_approval_shows_who_and_when(decision: str, status: str) -> None:
    shown = document(Approvals(), "a-1", approval_story(decision))
    assert (shown["status"], shown["decidedBy"]) == (status, "ann")
    assert shown["decidedAt"] == "2026-11-22T22:15:05.123Z"
    assert shown["updatedAt"] == "2026-11-22T22:10:05.124Z"
    assert "comment" not in shown


def test_a_comment_is_shown_even_where_it_is_empty() -> None:
    events = [
        ApprovalRequested(approval_id="a-1", opportunity_id="o", risk_score=1, amount=1, requested_at=NOW),
        ApprovalRejected(approval_id="a-1", opportunity_id="o", decided_by="ann", decided_at=NOW, comment=""),
    ]
    story = list(recorded(approval_stream(TENANT, "a-1"), events))
    assert document(Approvals(), "a-1", story)["comment"] == ""


def test_a_run_by_hand_has_no_nominal_time() -> None:
    shown = document(JobRuns(), "outcome-sync-1", job_story("fire"))
    assert shown == {
        "id": "outcome-sync-1",
        "runId": "outcome-sync-1",
        "tenantId": "00000000-0000-0000-0000-000000000001",
        "job": "outcome-sync",
        "status": "scheduled",
        "triggeredBy": "manual",
        "actor": USER,
        "metadata": {},
        "scheduledAt": "2026-11-22T22:11:05.123Z",
        "triggeredAt": "2026-11-22T22:11:05.123Z",
        "attempt": 1,
    }


def test_a_firing_shows_the_time_that_cron_named() -> None:
    nominal = after(seconds=-5)
    run = run_id("outcome-sync", nominal)
    fired = JobFired(
        job="outcome-sync",
        run_id=run,
        triggered_by="scheduler",
        fired_at=NOW,
        metadata={"schedule": "0 1 * * *"},
        nominal_at=nominal,
    )
    story = recorded(job_stream("outcome-sync"), [fired], meta=metadata(actor="system:scheduler"))
    shown = document(JobRuns(), run, list(story))
    assert shown["nominalTime"] == "2026-11-22T22:10:00.123Z"
    assert (shown["actor"], shown["metadata"]) == ("system:scheduler", {"schedule": "0 1 * * *"})


def test_a_report_shows_in_the_newest_open_run() -> None:
    story = job_story("fire", "fire", "fail", "complete")
    newest, older = (document(JobRuns(), f"outcome-sync-{number}", story) for number in (2, 1))
    assert (newest["status"], newest["error"], newest["failedAt"]) == (
        "failed",
        "no disk",
        "2026-11-22T22:13:05.123Z",
    )
    assert (older["status"], older["completedAt"]) == ("completed", "2026-11-22T22:14:05.123Z")
    assert "error" not in older


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda each: each.container.name)
def test_absent_members_are_absent_and_never_null(projection: Projection) -> None:
    stories = [
        workflow_story(("failure", "forecast"), ("retry", ""), ("answer", "forecast")),
        approval_story("approve"),
        job_story("fire", "fail"),
    ]
    for story in stories:
        ids = {id for each in story for id in projection.reads(each.event)}
        for id in ids:
            assert b"null" not in document_of(projection, id, story)


@pytest.mark.parametrize("topic", sorted(topic for topic in type_registry if topic not in UNSEEN))
def test_every_event_shows_in_some_document(topic: str) -> None:
    assert any(projection.reads(SAMPLES[topic].event) for projection in PROJECTIONS)


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda each: each.container.name)
def test_whatever_a_projection_reads_is_of_the_kinds_that_it_is_shown(projection: Projection) -> None:
    read = [each.event for each in SAMPLES.values() if projection.reads(each.event)]
    assert read
    assert all(interest_of(projection)(each) for each in read)


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda each: each.container.name)
def test_an_event_without_the_one_that_made_its_document_is_a_gap(projection: Projection) -> None:
    later = {
        "workflow_workflows": "workflow.step_failed",
        "workflow_steps": "workflow.step_failed",
        "workflow_executions": "workflow.step_failed",
        "hitl_approvals": "approval.approved",
        "hitl_delegations": "delegation.ended",
        "workflow_job_runs": "job.run_failed",
        "workflow_backfills": "backfill.window_started",
        "workflow_tasks": "task.claimed",
        "workflow_definitions": "definition.retired",
    }[projection.container.name]
    with pytest.raises(ProjectionGap, match="rebuild"):
        projection.apply({}, SAMPLES[later])


def test_a_document_that_no_event_made_is_a_gap() -> None:
    with pytest.raises(ProjectionGap, match="hitl_approvals a-2"):
        document_of(Approvals(), "a-2", approval_story())


def test_a_fold_leaves_the_document_that_it_was_given_as_it_was() -> None:
    story = workflow_story(("failure", "forecast"))
    before = {"w-1": workflow(story[:5])}
    copy = msgspec.json.decode(msgspec.json.encode(before))
    failed = next(each for each in story if isinstance(each.event, StepFailed))
    Workflows().apply(before, failed)
    assert before == copy
