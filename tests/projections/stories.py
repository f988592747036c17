"""Streams of recorded events, as the domain produces them."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from domain import approval, job, workflow
from domain.approval import ApprovalRequested, Ballot, approval_stream
from domain.definition import OPPORTUNITY_ANALYSIS
from domain.errors import Conflict
from domain.event import Event, Recorded
from domain.job import job_stream
from domain.workflow import workflow_stream
from projections.approvals import Approvals
from projections.backfills import Backfills
from projections.definitions import Definitions
from projections.delegations import Delegations
from projections.executions import Executions
from projections.job_runs import JobRuns
from projections.projection import Projection
from projections.steps import Steps
from projections.tasks import Tasks
from projections.workflows import Workflows
from tests.approvals import around
from tests.builders import NOW, OTHER_TENANT, TENANT, after, recorded
from tests.domain.scenario import fold
from tests.jobs import DEADLINE, definition

PROJECTIONS: tuple[Projection, ...] = (
    Workflows(),
    Steps(),
    Executions(),
    Approvals(),
    Delegations(),
    JobRuns(),
    Backfills(),
    Tasks(),
    Definitions(),
)

Turn = tuple[str, str]

JOB_TURNS = ("fire", "cron", "publish", "miss", "pause", "resume", "silence", "complete", "fail")


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


def job_story(*turns: str, name: str = "outcome-sync", **policy: Any) -> list[Recorded]:
    """A job: each turn is one of ``JOB_TURNS``, a minute after the one before; ``fire`` is by hand."""
    rules, stream = definition(name, **policy), job_stream(name)
    told: list[Recorded] = []
    for number, turn in enumerate(turns, start=1):
        events = [each.event for each in told]
        state, now = fold(job.evolve, events) if events else None, after(minutes=number)
        new: Sequence[Event] = ()
        match turn:
            case "fire":
                new = job.trigger(state, rules, f"{name}-{number}", {}, now=now)
            case "cron":
                new = job.fire(state, rules, now, now=now)
            case "publish" if state is not None and state.open_runs:
                new = job.publish(state, name, state.open_runs[-1].fired.run_id, now=now)
            case "miss":
                new = job.miss(state, name, [now], now=now)
            case "pause":
                new = job.pause(state, job=name, by="ann", reason="the worker is ill", now=now)
            case "resume":
                new = job.resume(state, job=name, by="ann", now=now)
            case "silence" if state is not None and state.open_runs:
                run = state.open_runs[0].fired.run_id
                new = job.time_out(state, rules, run, now=now + DEADLINE)
            case "complete":
                new = job.complete(state, rules, reference=None, ended_at=now, now=now)
            case "fail":
                new = job.fail(state, rules, reference=None, error="no disk", ended_at=now, now=now)
        told += recorded(stream, new, first_version=len(told) + 1, at=now)
    return told


_steps = st.sampled_from([step.step_type for step in OPPORTUNITY_ANALYSIS.steps])
_overlaps = st.sampled_from(["allow", "skip", "queue_one"])
_turns = st.lists(st.tuples(st.sampled_from(["answer", "failure", "retry"]), _steps), max_size=12)


@st.composite
def logs(draw: st.DrawFn) -> list[Recorded]:
    """A log of several streams, interleaved; two tenants have a workflow and an approval of one id."""
    streams = [
        workflow_story(*draw(_turns), tenant=TENANT),
        workflow_story(*draw(_turns), tenant=OTHER_TENANT),
        approval_story(*draw(st.lists(st.just("approve"), max_size=1)), tenant=TENANT),
        approval_story(*draw(st.lists(st.just("reject"), max_size=1)), tenant=OTHER_TENANT),
        job_story(*draw(st.lists(st.sampled_from(JOB_TURNS), max_size=6)), overlap=draw(_overlaps)),
    ]
    order = draw(st.permutations([number for number, stream in enumerate(streams) for _ in stream]))
    left = [iter(stream) for stream in streams]
    return [next(left[number]) for number in order]
