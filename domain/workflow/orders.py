"""What people may order of a workflow. Each order is refused if the workflow's state does not allow it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from domain.definition import StepDefinition, depending_on
from domain.errors import (
    NothingFailed,
    StepNotFound,
    StepNotOpen,
    WorkflowNotEnded,
    WorkflowNotRunning,
    WorkflowUndone,
)
from domain.event import Event
from domain.suggestions import did_you_mean
from domain.values import is_same_json
from domain.workflow import undoing
from domain.workflow.events import (
    StepReopened,
    WorkflowCancelled,
    WorkflowPaused,
    WorkflowResumed,
    WorkflowRetried,
)
from domain.workflow.given_results import require_is_like_its_own
from domain.workflow.rights import (
    require_may_complete,
    require_may_give_other_input,
    require_may_skip,
)
from domain.workflow.state import UNDER_WAY, Workflow
from domain.workflow.step import COMPENSATION, Step, execution_id_of
from domain.workflow.turn import Turn


def retry(
    state: Workflow,
    *,
    now: datetime,
    from_step: str | None = None,
    input: Mapping[str, Any] | None = None,
    reason: str | None = None,
    may_do_all: bool = False,
) -> tuple[Event, ...]:
    """Open the next execution: what failed is done again, what is completed is kept.

    From a named step on, that step and all that come after it are done again, including all items of ``map``
    steps, with ``input`` in place of the workflow's own. What has failed elsewhere is done again too, because
    it would fail the next execution at once. If a compensation has failed, that compensation is retried.

    Raises:
        WorkflowNotEnded: the present execution still runs.
        WorkflowUndone: what it has done is undone; only a new workflow can do it again.
        NothingFailed: there is nothing to do again.
        StepNotFound: the plan has no such step.
        NotAllowed: people have decided on other input, and this is no operator, who ``may_do_all``.
    """
    if state.status in (*UNDER_WAY, "pending", "compensating"):
        raise WorkflowNotEnded("the workflow has not ended", {"status": state.status})
    if state.status == "compensated":
        raise WorkflowUndone(
            "what the workflow did has been undone; start a new workflow", {"status": state.status}
        )
    if not state.plan:
        raise NothingFailed(
            "the workflow was cancelled before it began: there is nothing to retry; start a new workflow",
            {"status": state.status},
        )
    compensates = state.status == "compensation_failed"
    anew = frozenset() if compensates or from_step is None else _from(state, from_step)
    wanted = frozenset() if compensates else anew | _failed_steps(state)
    again = tuple(each.step_type for each in state.plan if each.step_type in wanted)
    unfinished = any(step.status == "pending" for _, step in state.planned())
    if not again and not compensates and not unfinished:
        raise NothingFailed("no step of the workflow has failed", {"status": state.status})
    if input is not None and not is_same_json(input, state.input):
        require_may_give_other_input(state, again, may_do_all=may_do_all)
    deadline = state.deadline_seconds
    turn = Turn(state, now)
    for step_type in again:
        if from_step is not None or state.steps[step_type].status == "retrying":
            _let_go(turn, state.steps[step_type])
    turn.happened(
        WorkflowRetried(
            workflow_id=state.workflow_id,
            execution_id=execution_id_of(state.workflow_id, state.attempt + 1),
            previous_execution_id=state.execution_id,
            attempt=state.attempt + 1,
            retried_at=now,
            again=again,
            input=input,
            deadline_at=None if deadline is None else now + timedelta(seconds=deadline),
            compensates=compensates,
            reason=reason,
            items_again=tuple(each for each in again if each in anew and state.steps[each].items is not None),
        )
    )
    turn.catch_up()
    return turn.go_on().events


def cancel(state: Workflow, *, reason: str, now: datetime) -> tuple[Event, ...]:
    """End a workflow: whoever works on a step is told, and what can be undone is undone. A workflow that
    waits never begins.

    Raises:
        WorkflowNotRunning: it has ended.
    """
    if state.status == "cancelled":
        return ()
    if state.status != "pending":
        _require_under_way(state)
    turn = Turn(state, now)
    turn.cancel_open_steps()
    turn.happened(
        WorkflowCancelled(
            workflow_id=state.workflow_id,
            opportunity_id=state.opportunity_id,
            execution_id=state.execution_id,
            reason=reason,
            cancelled_at=now,
            **undoing.told_by_the_end(turn.state),
        )
    )
    undoing.begin(turn)
    return turn.events


def pause(state: Workflow, *, now: datetime, reason: str | None = None) -> tuple[Event, ...]:
    """Dispatch nothing more. What is under way continues.

    Raises:
        WorkflowNotRunning: it has ended.
    """
    _require_under_way(state)
    if state.status == "paused":
        return ()
    return (
        WorkflowPaused(
            workflow_id=state.workflow_id, execution_id=state.execution_id, reason=reason or "", paused_at=now
        ),
    )


def resume(state: Workflow, *, now: datetime, reason: str | None = None) -> tuple[Event, ...]:
    """Continue: whatever has become due meanwhile is dispatched.

    Raises:
        WorkflowNotRunning: it has ended.
    """
    _require_under_way(state)
    if state.status == "running":
        return ()
    turn = Turn(state, now)
    turn.happened(
        WorkflowResumed(
            workflow_id=state.workflow_id, execution_id=state.execution_id, resumed_at=now, reason=reason
        )
    )
    turn.catch_up()
    return turn.go_on().events


def skip_step(
    state: Workflow, *, step_id: str, reason: str, now: datetime, may_do_all: bool = False
) -> tuple[Event, ...]:
    """Skip a step, and continue without its result. Whoever works on it is told that nobody waits. If undoing
    has stopped at what a step's child had left undone, it continues, because that was undone in another way.

    Raises:
        StepNotFound: there is no such step.
        NotAllowed: only an operator, who ``may_do_all``, may skip it.
        StepNotOpen: it has ended, other than by failing; or the ``map`` step to which the item belongs has.
        WorkflowNotRunning: the workflow has ended.
    """
    step = _require_step(state, step_id)
    require_may_skip(state, step, may_do_all=may_do_all)
    if step.status == "skipped":
        return ()
    _require_open(state, step)
    if step.status in ("completed", "cancelled") and step.step_type not in state.left_undone:
        raise StepNotOpen(f"the step is {step.status}", {"status": step.status})
    _require_wanted(state, step)
    turn = Turn(state, now)
    undoing.go_further(turn)
    _let_go(turn, step)
    _reopen_after(turn, step)
    turn.skip(step, reason, by_operator=True)
    return turn.go_on(turn.state.steps[step.step_type]).events


def complete_by_hand(
    state: Workflow, *, step_id: str, result: Any, now: datetime, may_do_all: bool = False
) -> tuple[Event, ...]:
    """Give a step the result that the caller knows.

    Raises:
        StepNotFound: there is no such step.
        BadInput: the result has another form than the step's.
        StepIsForPeople: people decide it.
        NotAllowed: only an operator, who ``may_do_all``, may complete it.
        StepNotOpen: it has ended, other than by failing; or the ``map`` step to which the item belongs has.
        WorkflowNotRunning: the workflow has ended.
    """
    step = _require_step(state, step_id)
    require_may_complete(state, step, may_do_all=may_do_all)
    _require_open(state, step)
    if step.status in ("completed", "cancelled", "skipped"):
        raise StepNotOpen(f"the step is {step.status}", {"status": step.status})
    _require_wanted(state, step)
    require_is_like_its_own(step, result)
    turn = Turn(state, now)
    undoing.go_further(turn)
    _let_go(turn, step)
    _reopen_after(turn, step)
    turn.complete(step, result)
    return turn.go_on(turn.state.steps[step.step_type]).events


def retry_step(
    state: Workflow, *, step_id: str, now: datetime, reason: str | None = None
) -> tuple[Event, ...]:
    """Retry one failed step of a running workflow at once; or a compensation of one that is undone.

    What was skipped because of its failure waits for it again.

    Raises:
        StepNotFound: there is no such step.
        StepNotOpen: it has not failed, its child has not ended, or the ``map`` step to which the item belongs
            has.
        WorkflowNotRunning: the workflow has ended; the workflow itself has to be retried.
    """
    step = _require_step(state, step_id)
    _require_open(state, step)
    if step.status not in ("failed", "retrying"):
        raise StepNotOpen(f"the step is {step.status}, not failed", {"status": step.status})
    if step.is_unsettled:
        raise StepNotOpen("its child has not ended", {"status": step.status})
    _require_wanted(state, step)
    turn = Turn(state, now)
    undoing.go_further(turn)
    _reopen_after(turn, step)
    turn.dispatch(step, reason)
    return turn.go_on(turn.state.steps[step.step_type]).events


def _reopen_after(turn: Turn, step: Step) -> None:
    """After a failed step ends again, decide again what was skipped because of how it ended."""
    for each in _skipped_after(turn.state, [step.step_type]):
        turn.happened(
            StepReopened(
                workflow_id=turn.state.workflow_id,
                execution_id=turn.state.execution_id,
                step_id=each.step_id,
                step_type=each.step_type,
                reopened_at=turn.now,
            )
        )


def _skipped_after(state: Workflow, step_types: Sequence[str]) -> list[Step]:
    """Return what was skipped because of how these steps of the plan ended, and by no operator."""
    later = depending_on(state.plan, step_types)
    return [
        step
        for each, step in state.planned()
        if each.step_type in later and step.status == "skipped" and not step.is_left_out
    ]


def _failed_steps(state: Workflow) -> frozenset[str]:
    """Return the steps of the plan that did not end well, and what was skipped because of how they ended."""
    failed = [
        each.step_type
        for each, step in state.planned()
        if step.status in ("failed", "cancelled", "retrying") or _fails_when_it_goes_on(each, step)
    ]
    return frozenset(failed).union(step.step_type for step in _skipped_after(state, failed))


def _fails_when_it_goes_on(definition: StepDefinition, step: Step) -> bool:
    """Return whether more items of a ``map`` step have failed since the workflow failed than may fail."""
    if definition.map is None or step.items is None or step.status != "running":
        return False
    return step.items.failed > definition.map.tolerate


def _from(state: Workflow, step: str) -> frozenset[str]:
    found = state.step(step)
    name = step if found is None else found.step_type
    if state.definition(name) is not None:
        return depending_on(state.plan, [name])
    whole = name.partition("[")[0].removesuffix(COMPENSATION)
    if state.definition(whole) is None:
        meant = did_you_mean(step, [each.step_type for each in state.plan])
        raise StepNotFound(f"the workflow has no step {step}{meant}")
    if name.endswith(COMPENSATION):
        raise StepNotFound(f"{name} is not a step of the plan: it undoes {whole}")
    raise StepNotFound(f"{name} is an item, not a step of the plan: name {whole} to do all its items again")


def _require_step(state: Workflow, step_id: str) -> Step:
    step = state.step(step_id)
    if step is None:
        raise StepNotFound(f"the workflow has no step {step_id}")
    return step


def _require_under_way(state: Workflow) -> None:
    if state.status not in UNDER_WAY:
        raise WorkflowNotRunning(f"the workflow is {state.status}", {"status": state.status})


def _require_open(state: Workflow, step: Step) -> None:
    """People may settle a compensation while the workflow is being undone, and if that has failed; the same
    holds for a step whose child has left something undone."""
    if not (
        (step.undoes or step.step_type in state.left_undone)
        and state.status in ("compensating", "compensation_failed")
    ):
        _require_under_way(state)


def _require_wanted(state: Workflow, step: Step) -> None:
    """An item's result belongs to its ``map`` step, which may have ended without it."""
    whole = None if step.item_of is None else state.steps[step.item_of]
    if whole is None:
        return
    if whole.items is None or step.item is None or step.item >= len(whole.items.elements):
        raise StepNotOpen(f"{whole.step_type} no longer has this element", {"status": step.status})
    if whole.status not in ("running", "retrying"):
        raise StepNotOpen(
            f"this is an item of the step {whole.step_type}, which is {whole.status}",
            {"status": whole.status},
        )


def _let_go(turn: Turn, step: Step) -> None:
    """Tell whoever works on a step, or on the items of a ``map`` step, that nobody waits."""
    if step.status in ("running", "retrying"):
        turn.cancel(step)
    if step.items is not None:
        turn.cancel_open_steps(items_of=step.step_type)
