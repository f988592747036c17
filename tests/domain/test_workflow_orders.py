"""Whatever comes in, in whatever order and however often, a workflow ends and its log explains it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import workflow
from domain.definition import OPPORTUNITY_ANALYSIS
from domain.errors import Conflict
from domain.event import Event
from domain.workflow import (
    StepCompleted,
    StepDispatched,
    StepFailed,
    Workflow,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRetried,
)
from tests.builders import NOW
from tests.domain.scenario import fold

STEPS = tuple(step.step_type for step in OPPORTUNITY_ANALYSIS.steps)
CRITICAL = {step.step_type for step in OPPORTUNITY_ANALYSIS.steps if step.critical}

Turn = tuple[str, str, int, int]
"""What comes in (answer, failure, timeout, retry), for which step and attempt, after how many minutes."""

turns = st.lists(
    st.tuples(
        st.sampled_from(["answer", "answer", "failure", "timeout", "retry"]),
        st.sampled_from([*STEPS, "unknown"]),
        st.integers(1, 3),
        st.integers(0, 16),
    ),
    max_size=25,
)


def take(state: Workflow, turn: Turn, now: datetime) -> Sequence[Event]:
    kind, step, attempt, _ = turn
    if kind == "answer":
        return workflow.complete_step(state, step_type=step, result={"of": step}, now=now)
    if kind == "failure":
        return workflow.fail_step(state, step_type=step, error="no", now=now)
    if kind == "timeout":
        return workflow.time_out_step(state, step_type=step, attempt=attempt, now=now)
    try:
        return workflow.retry(state, now=now)
    except Conflict:
        return ()


class Run:
    """A workflow under way, beside every event that it produced."""

    def __init__(self) -> None:
        self.now = NOW
        self.events: list[Event] = list(
            workflow.start(
                OPPORTUNITY_ANALYSIS, workflow_id="w-1", opportunity_id="opp-1", input=None, now=self.now
            )
        )
        self.state = fold(workflow.evolve, self.events)

    def take(self, turn: Turn) -> None:
        self.now += timedelta(minutes=turn[3])
        new = take(self.state, turn, self.now)
        for event in new:
            self.state = workflow.evolve(self.state, event)
        self.events += new

    def let_every_deadline_pass(self) -> None:
        for step in list(self.state.steps.values()):
            self.take(("timeout", step.step_type, step.attempt, 15))


def check_explained_by_its_events(run: Run) -> None:
    """The log folds to the state, each dispatch ends at most once, each execution exactly once."""
    assert fold(workflow.evolve, run.events) == run.state
    dispatches = [(each.step_id, each.attempt) for each in run.events if isinstance(each, StepDispatched)]
    step_ends = Counter(
        (each.step_id, each.attempt) for each in run.events if isinstance(each, StepCompleted | StepFailed)
    )
    assert len(set(dispatches)) == len(dispatches)
    assert all(count == 1 for count in step_ends.values())
    assert set(step_ends) <= set(dispatches)
    ends = [each for each in run.events if isinstance(each, WorkflowCompleted | WorkflowFailed)]
    retries = [each for each in run.events if isinstance(each, WorkflowRetried)]
    assert len({end.execution_id for end in ends}) == len(ends)
    assert len(ends) == len(retries) + (run.state.status != "running")


def check_its_end_is_right(run: Run) -> None:
    """It failed by a critical step, or completed with the results of just what completed."""
    failed = {step.step_type for step in run.state.steps.values() if step.status == "failed"}
    end = next(each for each in reversed(run.events) if isinstance(each, WorkflowCompleted | WorkflowFailed))
    if isinstance(end, WorkflowFailed):
        assert run.state.status == "failed"
        assert end.failed_step in CRITICAL & failed
    else:
        assert run.state.status == "completed"
        assert not CRITICAL & failed
        assert end.results == {
            definition.result_key: {"of": step.step_type}
            for definition, step in run.state.planned()
            if step.status == "completed"
        }


@given(turns)
def test_whatever_comes_in_the_workflow_has_ended_once_every_deadline_has_passed(
    incoming: list[Turn],
) -> None:
    run = Run()
    for turn in incoming:
        run.take(turn)
        check_explained_by_its_events(run)
    run.let_every_deadline_pass()
    check_explained_by_its_events(run)
    assert run.state.status in ("completed", "failed")
    assert all(step.status in ("completed", "failed") for step in run.state.steps.values())
    check_its_end_is_right(run)


@given(turns)
def test_taking_everything_twice_changes_nothing_the_second_time(incoming: list[Turn]) -> None:
    run = Run()
    for turn in incoming:
        run.take(turn)
        if turn[0] != "retry":
            before = run.state
            run.take((*turn[:3], 0))
            assert run.state == before


@pytest.mark.parametrize(
    "failing", [(), ("risk_scoring",), ("recommendation",), ("risk_scoring", "recommendation")]
)
def test_the_order_of_the_answers_makes_no_difference_to_the_results(failing: tuple[str, ...]) -> None:
    results = []
    for order in permutations(STEPS):
        run = Run()
        for step in order:
            run.take(("failure" if step in failing else "answer", step, 1, 0))
        end = run.events[-1]
        assert isinstance(end, WorkflowCompleted)
        results.append(end.results)
    assert len(results) == 24
    assert all(list(each.items()) == list(results[0].items()) for each in results)
