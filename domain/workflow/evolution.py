"""How each event changes a workflow. Nothing is decided here."""

from collections.abc import Collection
from typing import Any

import msgspec
from immutables import Map

from domain.event import Event
from domain.values import is_same_json
from domain.workflow.correlation import expected_key, told_apart
from domain.workflow.events import (
    CompensationBegan,
    CompensationFailed,
    StepCancelled,
    StepCompleted,
    StepDispatched,
    StepFailed,
    StepHeldBack,
    StepMapped,
    StepReopened,
    StepSettled,
    StepSkipped,
    WorkflowCancelled,
    WorkflowCompensated,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowPaused,
    WorkflowQueued,
    WorkflowResumed,
    WorkflowRetried,
    WorkflowStarted,
)
from domain.workflow.item_counts import counted
from domain.workflow.sizes import size_of
from domain.workflow.state import Workflow, done_items, last_found, unsettled_items
from domain.workflow.step import COMPENSATION, Items, Step, item_type, step_id_of


def evolve(state: Workflow | None, event: Event) -> Workflow:
    """Return the workflow after ``event``."""
    if isinstance(event, WorkflowStarted):
        return _started(event)
    if isinstance(event, WorkflowQueued):
        return _queued(event)
    if state is None:
        raise TypeError(f"{event!r} cannot begin a workflow")
    replace = msgspec.structs.replace
    match event:
        case StepDispatched():
            return _dispatched(state, event)
        case StepMapped():
            return _mapped(state, event)
        case StepCompleted():
            return _completed(state, event)
        case StepFailed():
            return _failed(state, event)
        case StepHeldBack():
            return _with(state, event.step_type, retry_at=None)
        case StepSkipped():
            ended: dict[str, Any] = {"status": "skipped", "deadline_at": None, "retry_at": None}
            after = _with(state, event.step_type, **ended, is_left_out=event.by_operator)
            return _undone(after.with_left_undone(event.step_type, is_left=False), event.step_type)
        case StepReopened():
            return _put(state, _anew(state.steps[event.step_type]))
        case StepCancelled():
            ended = {"status": "cancelled", "deadline_at": None, "retry_at": None}
            ended |= {"is_unanswered": _counts_late(state, event.step_type)}
            is_unsettled = event.unsettled or state.steps[event.step_type].is_unsettled
            return _with(state, event.step_type, **ended, is_unsettled=is_unsettled)
        case StepSettled():
            return _settled(state, event)
        case WorkflowCompleted():
            return replace(state, status="completed")
        case WorkflowFailed():
            return replace(state, status="failed", failure=event.error, failed_step=event.failed_step)
        case WorkflowCancelled():
            return replace(state, status="cancelled")
        case WorkflowPaused():
            return replace(state, status="paused")
        case WorkflowResumed():
            return replace(state, status="running")
        case WorkflowRetried():
            return _retried(state, event)
        case CompensationBegan():
            return replace(state, status="compensating")
        case WorkflowCompensated():
            return replace(state, status="compensated")
        case CompensationFailed():
            return replace(state, status="compensation_failed")
    raise TypeError(f"{event!r} is no event of a workflow")


def _queued(event: WorkflowQueued) -> Workflow:
    return Workflow(
        workflow_id=event.workflow_id,
        opportunity_id=event.opportunity_id,
        execution_id=event.execution_id,
        attempt=1,
        status="pending",
        plan=(),
        steps=Map(),
        types=Map(),
        input=event.input,
        concurrency_group=event.concurrency_group,
    )


def _started(event: WorkflowStarted) -> Workflow:
    steps = [
        Step(step_id=step_id_of(event.workflow_id, each.step_type), step_type=each.step_type, work=each)
        for each in event.steps
    ]
    return Workflow(
        workflow_id=event.workflow_id,
        opportunity_id=event.opportunity_id,
        concurrency_group=event.concurrency_group,
        definition_name=event.definition,
        definition_version=event.definition_version,
        execution_id=event.execution_id,
        attempt=1,
        status="running",
        plan=event.steps,
        steps=Map({step.step_type: step for step in steps}),
        types=Map({step.step_id: step.step_type for step in steps}),
        input=event.input,
        deadline_seconds=event.deadline_seconds,
        deadline_at=event.deadline_at,
        announcements=event.announcements,
        parent=event.parent,
        depth=event.depth,
        breadth=event.breadth,
        chain=event.chain,
    )


def _dispatched(state: Workflow, event: StepDispatched) -> Workflow:
    before = state.steps.get(event.step_type)
    step = before or _born(state, event)
    running = msgspec.structs.replace(
        step,
        status="running",
        attempt=event.attempt,
        tries=_tries(step),
        deadline_at=event.deadline_at,
        retry_at=None,
        result=None,
        result_bytes=0,
        error=None,
        key=_key(step, event),
        is_left_out=False,
        is_unanswered=False,
        is_outrun=False,
        is_unsettled=False,
        undoing=_items_to_undo(state, step),
    )
    after = _put(state, running).with_left_undone(event.step_type, is_left=False)
    if before is not None:
        return after
    return msgspec.structs.replace(after, types=state.types.set(event.step_id, event.step_type))


def _key(step: Step, event: StepDispatched) -> str | None:
    if not step.work.correlation:
        return None
    return expected_key(step.item_of or step.step_type, step.work, event.input)


def _born(state: Workflow, event: StepDispatched) -> Step:
    """Return an item or a compensation, which begins to exist when it is first dispatched."""
    if event.item is not None:
        parent = event.step_type.rpartition("[")[0]
        definition = state.definition(parent)
        assert definition is not None
        assert definition.map is not None
        return Step(
            step_id=event.step_id,
            step_type=event.step_type,
            work=definition.map.each,
            item=event.item,
            item_of=parent,
        )
    definition = state.definition(event.step_type.removesuffix(COMPENSATION))
    assert definition is not None
    assert definition.compensation is not None
    return Step(step_id=event.step_id, step_type=event.step_type, work=definition.compensation)


_KEPT_ITEMS = ("completed", "skipped", "running", "retrying")


def _mapped(state: Workflow, event: StepMapped) -> Workflow:
    """If the elements are the same as before, what their items have completed is kept, and those under way
    continue."""
    before = state.steps[event.step_type].items
    same = before is not None and is_same_json(before.elements, event.elements)
    state = _items_anew(state, event.step_type, but=_KEPT_ITEMS if same else ())
    items = state.steps[event.step_type].items
    if items is None or not same:
        items = Items(elements=event.elements, open=unsettled_items(state, event.step_type, before))
    return _with(
        state,
        event.step_type,
        status="running",
        attempt=event.attempt,
        tries=_tries(state.steps[event.step_type]),
        deadline_at=event.deadline_at,
        retry_at=None,
        error=None,
        is_unanswered=False,
        items=msgspec.structs.replace(items, next=0),
    )


def _items_anew(state: Workflow, step_type: str, but: Collection[str] = ()) -> Workflow:
    """Return the items of a ``map`` step as if they had not been tried, except those with these statuses."""
    items = state.steps[step_type].items
    for item in range(0 if items is None else len(items.elements)):
        known = state.steps.get(item_type(step_type, item))
        if known is not None and known.status not in but:
            state = _put(state, _anew(known))
    return state


def _tries(step: Step) -> int:
    """Return the number of the try if the step is dispatched now."""
    return step.tries + 1 if step.status == "retrying" else 1


def _completed(state: Workflow, event: StepCompleted) -> Workflow:
    item_of = state.steps[event.step_type].item_of
    after = _with(
        state,
        event.step_type,
        status="completed",
        result=event.result,
        result_bytes=0 if item_of is None else size_of(event.result),
        earlier_result=None,
        deadline_at=None,
        retry_at=None,
        error=None,
        is_unanswered=False,
        is_unsettled=False,
    )
    if item_of is not None:
        definition = state.definition(item_of)
        is_undoable = definition is not None and definition.compensation is not None
        item = state.steps[event.step_type].item
        return _to_be_undone_again(_done(after, item_of), item_of, item) if is_undoable else after
    if state.definition(event.step_type) is None:
        after = _undone(after, event.step_type)
        ended = after.steps[event.step_type]
        return _put(after, _anew(ended)) if ended.is_outrun else after
    if state.steps[event.step_type].items is None:
        after = _to_be_undone_again(after, event.step_type)
    return _done(after, event.step_type)


def _done(state: Workflow, step_type: str) -> Workflow:
    """Note that a step, or an item of a ``map`` step, was completed last."""
    done = tuple(each for each in state.done if each != step_type)
    return msgspec.structs.replace(state, done=(*done, step_type))


def _to_be_undone_again(state: Workflow, step_type: str, item: int | None = None) -> Workflow:
    """Note that a step has done something again, so that its compensation has to do so too. A ``map`` step
    does something only by its items, and what was undone of this item was what it had done before."""
    undone = state.steps.get(step_type + COMPENSATION)
    if undone is None:
        return state
    undone = msgspec.structs.replace(
        undone,
        done_again=undone.done_again + 1,
        is_outrun=undone.is_outrun or undone.is_awaited,
        undoing=tuple(each for each in undone.undoing if each != item),
        undone=tuple(each for each in undone.undone if each != item),
    )
    return _put(state, _anew(undone) if undone.status in ("completed", "skipped") else undone)


def _items_to_undo(state: Workflow, step: Step) -> tuple[int, ...]:
    """Return the items for which a compensation is asked for now."""
    whole = state.steps.get(step.step_type.removesuffix(COMPENSATION)) if step.undoes else None
    if whole is None or whole.items is None:
        return ()
    before = set(step.undone)
    return tuple(index for index, _ in done_items(state, whole) if index not in before)


def _undone(state: Workflow, step_type: str) -> Workflow:
    """Note that what a compensation was asked for is undone, by it or in another way."""
    step = state.steps[step_type]
    if not step.undoing:
        return state
    return _put(state, msgspec.structs.replace(step, undone=(*step.undone, *step.undoing), undoing=()))


def _failed(state: Workflow, event: StepFailed) -> Workflow:
    return _with(
        state,
        event.step_type,
        status="failed" if event.retry_at is None else "retrying",
        error=event.error,
        deadline_at=None,
        retry_at=event.retry_at,
        is_unanswered=event.retry_at is None
        and event.reason == "timed_out"
        and _counts_late(state, event.step_type),
        is_unsettled=event.unsettled,
    )


def _settled(state: Workflow, event: StepSettled) -> Workflow:
    error = {} if event.error is None else {"error": event.error}
    after = _with(state, event.step_type, is_unsettled=False, **error)
    return after.with_left_undone(event.step_type, is_left=event.error is not None)


def _counts_late(state: Workflow, step_type: str) -> bool:
    """Return whether a late answer may count. One to an item counts only if its ``map`` step can be
    undone."""
    whole = state.steps[step_type].item_of
    definition = None if whole is None else state.definition(whole)
    return definition is None or definition.compensation is not None


def _retried(state: Workflow, event: WorkflowRetried) -> Workflow:
    for step_type in event.again:
        step = state.steps[step_type]
        earlier = step.result if step.status == "completed" else step.earlier_result
        found = last_found(state, step)
        state = _put(state, msgspec.structs.replace(_anew(step), earlier_result=earlier))
        if step_type in event.items_again:
            state = _items_anew(state, step_type)
            items = state.steps[step_type].items
            if items is not None:
                items = msgspec.structs.replace(items, next=0, earlier=Map(found))
                state = _with(state, step_type, items=items)
    if event.compensates:
        for step in state.all_steps():
            if step.step_type.endswith(COMPENSATION) and step.status == "failed":
                state = _put(state, _anew(step))
    return msgspec.structs.replace(
        state,
        status="compensating" if event.compensates else "running",
        execution_id=event.execution_id,
        attempt=event.attempt,
        input=state.input if event.input is None else event.input,
        deadline_at=event.deadline_at,
        failure=state.failure if event.compensates else None,
        failed_step=state.failed_step if event.compensates else None,
    )


def _anew(step: Step) -> Step:
    """Return a step as if it had not been tried. A ``map`` step keeps its items, because they may be the same
    again."""
    return msgspec.structs.replace(
        step,
        status="pending",
        tries=0,
        deadline_at=None,
        retry_at=None,
        result=None,
        result_bytes=0,
        error=None,
        is_left_out=False,
        is_outrun=False,
    )


def _with(state: Workflow, step_type: str, **changes: Any) -> Workflow:
    return _put(state, msgspec.structs.replace(state.steps[step_type], **changes))


def _put(state: Workflow, step: Step) -> Workflow:
    """Return the workflow with the step as it is now. If it is an item, its ``map`` step counts it."""
    steps, expected = state.steps, state.expected
    before = steps.get(step.step_type)
    expected_before = None if before is None else before.expects
    if step.expects != expected_before:
        expected = told_apart(expected, step.step_type, expected_before, step.expects)
    if step.item_of is not None and step.item is not None:
        parent = steps[step.item_of]
        assert parent.items is not None
        steps = steps.set(step.step_type, step)
        items = counted(parent.items, before, step, steps)
        steps = steps.set(step.item_of, msgspec.structs.replace(parent, items=items))
    unsettled = state.unsettled + step.is_unsettled - (before is not None and before.is_unsettled)
    steps = steps.set(step.step_type, step)
    return msgspec.structs.replace(state, steps=steps, expected=expected, unsettled=unsettled)
