"""Streams of recorded events, as the domain produces them."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from domain import approval, job, workflow
from domain.approval import ApprovalRequested, Ballot, approval_stream
from domain.definition import OPPORTUNITY_ANALYSIS
from domain.errors import Conflict
from domain.event import Event, Recorded
from domain.job import JobFired, job_stream
from domain.workflow import workflow_stream
from projections.approvals import Approvals
from projections.backfills import Backfills
from projections.definitions import Definitions
from projections.executions import Executions
from projections.job_runs import JobRuns
from projections.projection import Projection
from projections.steps import Steps
from projections.tasks import Tasks
from projections.workflows import Workflows
from tests.approvals import around
from tests.builders import NOW, OTHER_TENANT, TENANT, after, recorded
from tests.domain.scenario import fold

PROJECTIONS: tuple[Projection, ...] = (
    Workflows(),
    Steps(),
    Executions(),
    Approvals(),
    JobRuns(),
    Backfills(),
    Tasks(),
    Definitions(),
)

Turn = tuple[str, str]


def workflow_story(*turns: Turn, tenant: str = TENANT, id: str = "w-1", result: Any = None) -> list[Recorded]:
    """A workflow: each turn is (answer | failure | retry, step), a minute after the one before."""
    events: list[Event] = list(
        workflow.start(OPPORTUNITY_ANALYSIS, workflow_id=id, opportunity_id="opp-1", input=None, now=NOW)
    )
    stream = workflow_stream(tenant, id)
    told = list(recorded(stream, events))
    for minute, (kind, step) in enumerate(turns, start=1):
        state, now = fold(workflow.evolve, events), after(minutes=minute)
        new: Sequence[Event]
        if kind == "answer":
            answer = {"of": step} if result is None else {"value": result}
            new = workflow.complete_step(state, step_type=step, result=answer, now=now)
        elif kind == "failure":
            new = workflow.fail_step(state, step_type=step, error=f"{step} failed", now=now)
        else:
            try:
                new = workflow.retry(state, now=now)
            except Conflict:
                new = ()
        told += recorded(stream, new, first_version=len(told) + 1, at=now)
        events += new
    return told


def approval_story(*decisions: str, tenant: str = TENANT, id: str = "a-1") -> list[Recorded]:
    """An approval, and whether it was approved or rejected."""
    requested = ApprovalRequested(
        approval_id=id, opportunity_id="opp-1", risk_score=0.9, amount=100, requested_at=NOW
    )
    events: list[Event] = [requested]
    for decision in decisions:
        decide = approval.approve if decision == "approve" else approval.reject
        state = fold(approval.evolve, events)
        events += decide(state, Ballot(by="ann"), around(after(minutes=5)))
    return list(recorded(approval_stream(tenant, id), events))


def job_story(*turns: str, name: str = "outcome-sync") -> list[Recorded]:
    """A job: fire, complete, fail."""
    events: list[Event] = []
    for number, turn in enumerate(turns, start=1):
        state = fold(job.evolve, events) if events else None
        now = after(minutes=number)
        if turn == "fire":
            events += job.fire(
                state,
                JobFired(
                    job=name, run_id=f"{name}-{number}", triggered_by="manual", fired_at=now, metadata={}
                ),
            )
        elif turn == "complete":
            events += job.complete_run(state, job=name, completed_at=now)
        else:
            events += job.fail_run(state, job=name, error="no disk", failed_at=now)
    return list(recorded(job_stream(name), events))


_steps = st.sampled_from([step.step_type for step in OPPORTUNITY_ANALYSIS.steps])
_turns = st.lists(st.tuples(st.sampled_from(["answer", "failure", "retry"]), _steps), max_size=12)


@st.composite
def logs(draw: st.DrawFn) -> list[Recorded]:
    """A log of several streams, interleaved; two tenants have a workflow and an approval of one id."""
    streams = [
        workflow_story(*draw(_turns), tenant=TENANT),
        workflow_story(*draw(_turns), tenant=OTHER_TENANT),
        approval_story(*draw(st.lists(st.just("approve"), max_size=1)), tenant=TENANT),
        approval_story(*draw(st.lists(st.just("reject"), max_size=1)), tenant=OTHER_TENANT),
        job_story(*draw(st.lists(st.sampled_from(["fire", "complete", "fail"]), max_size=6))),
    ]
    order = draw(st.permutations([number for number, stream in enumerate(streams) for _ in stream]))
    left = [iter(stream) for stream in streams]
    return [next(left[number]) for number in order]
