"""What comes back: answers, reports of failure, and missed deadlines.

An answer that nobody waits for changes nothing. ``attempt`` says which dispatch an answer is to, if the
sender knows that. An answer to an earlier dispatch comes too late.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from domain.bounded_jmespath import Allowance
from domain.contexts import reply_context
from domain.definition import FailureReason, Work
from domain.event import Event
from domain.expressions import BadExpression, mapped
from domain.workflow import map_items, undoing
from domain.workflow.correlation import message_key
from domain.workflow.state import UNDER_WAY, Workflow
from domain.workflow.step import COMPENSATION, Step
from domain.workflow.turn import Turn

_ENDED_BADLY = ("failed", "cancelled", "compensated", "compensation_failed")


def complete_step(
    state: Workflow, *, step_type: str, result: Any, now: datetime, attempt: int | None = None
) -> tuple[Event, ...]:
    """Store a step's answer. ``step_type`` may be the step's id.

    An answer that comes while everything is being undone, or after that, is undone as well.
    """
    step = _waiting(state, step_type, attempt)
    if step is None:
        return _settled(state, step_type, attempt, None, now)
    turn = Turn(state, now)
    turn.complete(step, result)
    if state.status in _ENDED_BADLY:
        undoing.begin(turn)
    if step.is_unsettled and turn.state.status in ("failed", "cancelled"):
        undoing.settle(turn, turn.state.steps[step.step_type])
    return turn.go_on(step).events


def fail_step(
    state: Workflow,
    *,
    step_type: str,
    error: str,
    now: datetime,
    reason: FailureReason = "reported",
    attempt: int | None = None,
    left_undone: bool = False,
) -> tuple[Event, ...]:
    """Store the report of a step's failure. If a critical step has no tries left, the workflow fails.

    A child workflow may have ``left_undone`` what it did. Then its step is not retried on top of that.
    """
    step = _waiting(state, step_type, attempt)
    if step is None or step.status != "running":
        return _settled(state, step_type, attempt, error if left_undone else None, now)
    turn = Turn(state, now)
    turn.fail(step, error, reason, is_final=left_undone)
    if left_undone and not step.undoes:
        undoing.settle(turn, turn.state.steps[step.step_type], turn.state.steps[step.step_type].error)
    return turn.go_on(step).events


class PlatformAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one of the wire contract's answers says about the step of that type: a result, or else an
    error."""

    step_type: str
    result: Any = None
    error: str | None = None


def take_reply(
    state: Workflow,
    *,
    message_type: str,
    data: Mapping[str, Any],
    now: datetime,
    answer: PlatformAnswer | None = None,
) -> tuple[Event, ...]:
    """Handle a message as the ``answer`` that the wire contract knows it as, if a step waits for that.
    Otherwise handle it as a reply to a request that the plan names, by the rule that stands there, or as one
    that a step waits for.

    In either case ``stepId`` in the data says which step the message answers, or the definition's
    ``correlation`` does. Without them (an empty ``stepId`` does not count) it is the first step of the plan
    that waits for such a message. An item of a ``map`` step must be named.
    """
    if answer is not None and (events := _take_answer(state, answer, data, now)):
        return events
    step = _addressed(state, message_type, data)
    reply = _reply_of(step.work, message_type) if step is not None else None
    if step is None or reply is None:
        return ()
    if reply.get("failed"):
        error = data.get("error")
        reason = error.get("message") if isinstance(error, Mapping) else error
        told = str(reason or "the service gave no reason")
        return fail_step(state, step_type=step.step_type, error=told, now=now)
    try:
        result = mapped(reply["result"], reply_context(data)) if "result" in reply else data
    except BadExpression as bad:
        return fail_step(state, step_type=step.step_type, error=str(bad), reason="rejected", now=now)
    return complete_step(state, step_type=step.step_type, result=result, now=now)


def _take_answer(
    state: Workflow, answer: PlatformAnswer, data: Mapping[str, Any], now: datetime
) -> tuple[Event, ...]:
    step = state.step(answer.step_type)
    if step is None or not step.work.takes_platform_answers or _step_id(data) not in (None, step.step_id):
        return ()
    if answer.error is not None:
        return fail_step(state, step_type=answer.step_type, error=answer.error, now=now)
    return complete_step(state, step_type=answer.step_type, result=answer.result, now=now)


def _step_id(data: Mapping[str, Any]) -> str | None:
    """Return the step that a message says it answers."""
    step_id = data.get("stepId")
    return step_id.lower() if isinstance(step_id, str) and step_id else None


def _addressed(state: Workflow, message_type: str, data: Mapping[str, Any]) -> Step | None:
    """Return the step that a message answers: the first that waits, preferably for its answer and not for its
    next try; or else the first whose late answer is undone."""
    step_id = _step_id(data)
    if step_id is not None:
        return _waiting(state, step_id, None)
    waiting: Sequence[Callable[[Step], bool]] = (
        lambda step: step.status == "running",
        lambda step: step.is_awaited,
        lambda step: _is_undone_late(state, step),
    )
    asked = tuple(_asked(state, message_type, data))
    return next((step for waits in waiting for step in asked if waits(step)), None)


def _asked(state: Workflow, message_type: str, data: Mapping[str, Any]) -> Iterator[Step]:
    """Yield the steps that such a message may answer, in the order of the plan; of those with the same key,
    the one that has waited longest first."""
    allowance = Allowance()
    for name, work in _works(state):
        if _reply_of(work, message_type) is None:
            continue
        if work.correlation:
            key = message_key(name, work, data, allowance)
            found: Sequence[str] = () if key is None else state.expected.get(key, ())
        else:
            found = (name,)
        for each in found:
            step = state.steps.get(each)
            if step is not None and step.work == work:
                yield step


def _works(state: Workflow) -> Iterator[tuple[str, Work]]:
    """Yield everything that the plan asks for, by the names of its steps: the steps, then their
    compensations."""
    for each in state.plan:
        yield each.step_type, each
        if each.map is not None:
            yield each.step_type, each.map.each
    for each in state.plan:
        if each.compensation is not None:
            yield each.step_type + COMPENSATION, each.compensation


def _reply_of(work: Work, message_type: str) -> Mapping[str, Any] | None:
    return next((each for each in work.replies if each.get("type") == message_type), None)


def time_out_step(state: Workflow, *, step_type: str, attempt: int, now: datetime) -> tuple[Event, ...]:
    """Give up on a step that has not answered that ``attempt`` by its deadline."""
    step = _waiting(state, step_type, attempt)
    if step is None or step.deadline_at is None or now < step.deadline_at:
        return ()
    turn = Turn(state, now)
    if step.items is not None:
        turn.cancel_open_steps(items_of=step.step_type)
    error = f"no answer within {step.work.timeout_seconds:g} s"
    turn.fail(turn.state.steps[step.step_type], error, "timed_out")
    return turn.go_on(step).events


def try_step_again(state: Workflow, *, step_type: str, attempt: int, now: datetime) -> tuple[Event, ...]:
    """Note that the pause after a failed ``attempt`` is over. The step is dispatched, or is held back if
    nothing is dispatched now.

    Holding back is an event of its own. The timer is deleted after this, and whoever lets the step out later
    cannot know from a clock, or from what was read here, whether the pause was over: clocks differ, and that
    append may be under way just now. Of two appends one fails and is decided again. So a step that waits
    either has a timer or was held back, and the rules that let steps out, :meth:`Turn.let_out`, use this.

    Nothing happens if nothing waits for the step any more, and this stays so: no attempt comes twice, and a
    workflow that is being undone, or was, dispatches no step again.
    """
    step = state.step(step_type)
    if step is None or step.status != "retrying" or step.attempt != attempt:
        return ()
    if step.retry_at is None or now < step.retry_at:
        return ()
    turn = Turn(state, now)
    if state.lets_out(step):
        turn.dispatch(step)
        return turn.go_on(step).events
    if state.may_let_out_later or step.is_unsettled:
        turn.hold_back(step)
    return turn.events


def pass_deadline(state: Workflow, *, execution_id: str, now: datetime) -> tuple[Event, ...]:
    """End an execution that has not ended by the workflow's deadline."""
    if state.status not in UNDER_WAY or state.execution_id != execution_id:
        return ()
    if state.deadline_at is None or now < state.deadline_at:
        return ()
    turn = Turn(state, now)
    turn.cancel_open_steps()
    turn.end_as_failed(f"not completed within {state.deadline_seconds:g} s", None)
    return turn.events


def _settled(
    state: Workflow, step_type: str, attempt: int | None, error: str | None, now: datetime
) -> tuple[Event, ...]:
    """Store the report that the child of a step for which nobody waits has ended, or that what the child had
    left undone is undone."""
    step = state.step(step_type)
    if step is None or attempt != step.attempt:
        return ()
    is_news = step.is_unsettled or (error is None and step.step_type in state.left_undone)
    if not is_news:
        return ()
    turn = Turn(state, now)
    undoing.settle(turn, step, None if step.undoes else error)
    turn.let_out_again(step.step_type)
    return turn.go_on(step).events


def _waiting(state: Workflow, step_type: str, attempt: int | None) -> Step | None:
    """Return the step, if its answer counts."""
    step = state.step(step_type)
    if step is None or attempt not in (None, step.attempt):
        return None
    return step if step.is_awaited or _is_undone_late(state, step) else None


def _is_undone_late(state: Workflow, step: Step) -> bool:
    """Return whether the answer reports something that would have to be undone, although nobody waits for it
    any more."""
    definition = state.definition(step.item_of or step.step_type)
    can_be_undone = definition is not None and definition.compensation is not None
    if step.item_of is not None:
        can_be_undone = can_be_undone and map_items.is_for_an_element(state, step)
    is_over = state.status in (*_ENDED_BADLY, "compensating")
    return step.is_unanswered and can_be_undone and is_over
