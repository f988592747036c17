"""A turn: what a workflow does next, after something has happened to it.

Every command ends here. A turn dispatches what is due, skips what does not apply, and reports the end. Each
of its events is applied before the next is decided.
"""

from datetime import datetime, timedelta
from typing import Any

from domain.bounded_jmespath import Allowance
from domain.contexts import Context, item_context, step_context
from domain.definition import MAP, FailureReason, StepDefinition, Work
from domain.event import Event
from domain.expressions import BadExpression, holds, mapped
from domain.workflow import map_items, undoing
from domain.workflow.events import (
    StepCancelled,
    StepCompleted,
    StepDispatched,
    StepFailed,
    StepHeldBack,
    StepSkipped,
    WorkflowCompleted,
    WorkflowFailed,
)
from domain.workflow.evolution import evolve
from domain.workflow.sizes import (
    MOST_INPUT_BYTES,
    MOST_RESULT_BYTES,
    beginning_of,
    fault_of_size,
    size_of,
)
from domain.workflow.state import UNDER_WAY, Workflow
from domain.workflow.step import CHILD, Step


class Turn:
    """Collects the events of one command. ``state`` is the workflow after the events so far. ``dispatched``
    and ``dispatched_bytes`` count what they dispatch; a void dispatch makes two events, and counts twice.
    ``allowance`` is what all expressions of the turn may do: other commands, of any tenant, wait for it."""

    def __init__(self, state: Workflow, now: datetime) -> None:
        self.state = state
        self.now = now
        self.dispatched = 0
        self.dispatched_bytes = 0
        self.allowance = Allowance()
        self._events: list[Event] = []

    @property
    def events(self) -> tuple[Event, ...]:
        """What has happened in this turn."""
        return tuple(self._events)

    def happened(self, event: Event) -> None:
        """Note an event, and what it changes."""
        self._events.append(event)
        self.state = evolve(self.state, event)

    def go_on(self, ended: Step | None = None) -> "Turn":
        """Do whatever is due now. ``ended`` is the step that has just ended, if one has."""
        if ended is not None and ended.item_of is not None:
            if self.state.status in UNDER_WAY:
                if not map_items.go_on(self, ended.item_of):
                    return self
            elif self.state.status != "failed":
                map_items.leave(self, ended.item_of)
        if self.state.status == "compensating":
            undoing.go_on(self)
        elif self.state.status == "running":
            self._advance()
        return self

    def catch_up(self) -> None:
        """Do what became due while nothing was dispatched: tries whose pause is over, then the next items,
        and the ends of ``map`` steps that follow from those tries."""
        self.let_out()
        for _, step in self.state.planned():
            if step.items is not None and step.status == "running":
                map_items.go_on(self, step.step_type)

    def let_out(self, *, items_of: str | None = None) -> None:
        """Dispatch again what is due and may be dispatched; or of that, the items of one step. A ``map`` step
        lets out its own items."""
        for known in self.state.all_steps():
            if items_of in (None, known.item_of):
                self.let_out_again(known.step_type)

    def let_out_again(self, step_type: str) -> None:
        """Dispatch one step again, if that is due and it may be dispatched."""
        step = self.state.steps[step_type]
        if step.is_due(self.now) and self.state.lets_out(step):
            self.dispatch(step)

    def complete(self, step: Step, result: Any) -> None:
        """Complete a step."""
        self.happened(
            StepCompleted(
                workflow_id=self.state.workflow_id,
                execution_id=self.state.execution_id,
                step_id=step.step_id,
                step_type=step.step_type,
                attempt=step.attempt,
                result=result,
                completed_at=self.now,
                kind=step.work.kind,
            )
        )

    def fail(
        self,
        step: Step,
        error: str,
        reason: FailureReason,
        *,
        retry_at: datetime | None = None,
        is_final: bool = False,
    ) -> None:
        """Fail a step. It is retried at ``retry_at``, or, unless the failure is final, if its retry rule has
        a try left.

        Only the beginning of a long error is stored, because it may quote what it is about.
        """
        self.happened(
            StepFailed(
                workflow_id=self.state.workflow_id,
                execution_id=self.state.execution_id,
                step_id=step.step_id,
                step_type=step.step_type,
                attempt=step.attempt,
                error=beginning_of(error),
                reason=reason,
                failed_at=self.now,
                retry_at=retry_at or (None if is_final else self._next_try(step, reason)),
                kind=step.work.kind,
                unsettled=step.has_child and reason == "timed_out",
            )
        )

    def hold_back(self, step: Step) -> None:
        """Note that the pause before a step's next try is over while nothing is dispatched."""
        self.happened(
            StepHeldBack(
                workflow_id=self.state.workflow_id,
                execution_id=self.state.execution_id,
                step_id=step.step_id,
                step_type=step.step_type,
                attempt=step.attempt,
                held_back_at=self.now,
            )
        )

    def skip(self, step: Step, reason: str, *, by_operator: bool) -> None:
        """Skip a step."""
        self.happened(
            StepSkipped(
                workflow_id=self.state.workflow_id,
                execution_id=self.state.execution_id,
                step_id=step.step_id,
                step_type=step.step_type,
                reason=reason,
                by_operator=by_operator,
                skipped_at=self.now,
            )
        )

    def cancel(self, step: Step) -> None:
        """Note that nobody waits for a step any more, so that whoever works on it is told."""
        self.happened(
            StepCancelled(
                workflow_id=self.state.workflow_id,
                execution_id=self.state.execution_id,
                step_id=step.step_id,
                step_type=step.step_type,
                kind=step.work.kind,
                attempt=step.attempt,
                cancelled_at=self.now,
                unsettled=step.has_child,
            )
        )

    def cancel_open_steps(self, *, items_of: str | None = None) -> None:
        """Cancel everything that is under way; or of that, the items of one step."""
        for step in self.state.all_steps():
            if step.status in ("running", "retrying") and items_of in (None, step.item_of):
                self.cancel(step)

    def dispatch(
        self, step: Step, reason: str | None = None, *, again_if_void: datetime | None = None
    ) -> None:
        """Dispatch a step. If its input cannot be made, it has failed by that, or is retried at the given
        time."""
        if step.work.kind == MAP and isinstance(step.work, StepDefinition):
            map_items.begin(self, step, step.work, reason)
            return
        try:
            input = mapped(step.work.input, self.context(step), self.allowance)
            size = size_of(input)
            error = fault_of_size("its input", size, MOST_INPUT_BYTES)
        except BadExpression as bad:
            input, size, error = {}, 0, str(bad)
        self.dispatched += 2 if error else 1
        self.dispatched_bytes += size
        self._dispatch(step, {} if error else input, reason, void=error is not None)
        if error:
            self.fail(self.state.steps[step.step_type], error, "rejected", retry_at=again_if_void)

    def end_as_failed(self, error: str, failed_step: str | None) -> None:
        """Note that the workflow has failed. What can be undone is undone."""
        self.happened(
            WorkflowFailed(
                workflow_id=self.state.workflow_id,
                opportunity_id=self.state.opportunity_id,
                execution_id=self.state.execution_id,
                error=error,
                failed_step=failed_step,
                failed_at=self.now,
                announced_as=self.state.announcements.failed,
                **undoing.told_by_the_end(self.state),
            )
        )
        undoing.begin(self)

    def _advance(self) -> None:
        """Fail, dispatch, skip, complete: do whatever the ends of the plan's steps allow.

        A step may end as soon as it is begun (skipped, or failed), and make others due that stand before it.
        """
        goes_round_again = True
        while goes_round_again:
            goes_round_again = False
            for definition in self.state.plan:
                if self._fails():
                    return
                step = self.state.steps[definition.step_type]
                if step.status == "pending" and not step.is_unsettled and self._is_due(definition):
                    self._begin(definition, step)
                    goes_round_again |= self.state.steps[definition.step_type].has_ended
        if not self._fails() and all(step.has_ended for _, step in self.state.planned()):
            self._complete_workflow()

    def _fails(self) -> bool:
        """End the workflow if a critical step has failed for good."""
        for each, step in self.state.planned():
            if each.critical and step.status == "failed":
                self.end_as_failed(step.error or "a critical step failed", step.step_type)
                return True
        return False

    def _is_due(self, definition: StepDefinition) -> bool:
        return all(self.state.steps[before].has_ended for before in definition.after)

    def _begin(self, definition: StepDefinition, step: Step) -> None:
        try:
            if definition.when is None or holds(definition.when, self.context(step), self.allowance):
                self.dispatch(step)
            else:
                self.skip(step, f"its condition does not hold: {definition.when}", by_operator=False)
        except BadExpression as error:
            self.fail(step, str(error), "rejected")

    def _dispatch(self, step: Step, input: dict[str, Any], reason: str | None, *, void: bool) -> None:
        self.happened(
            StepDispatched(
                workflow_id=self.state.workflow_id,
                opportunity_id=self.state.opportunity_id,
                execution_id=self.state.execution_id,
                step_id=step.step_id,
                step_type=step.step_type,
                kind=step.work.kind,
                parameters=step.work.parameters,
                input=input,
                attempt=step.attempt + 1,
                dispatched_at=self.now,
                deadline_at=None if void else self.deadline(step.work),
                item=step.item,
                depth=self.state.depth,
                breadth=self.state.children_breadth if step.work.kind == CHILD else 1,
                reason=reason,
                void=void,
                done_again=step.done_again,
            )
        )

    def _complete_workflow(self) -> None:
        """End well. Items of a ``map`` step that has ended without them may still be under way."""
        results = self.state.results
        error = fault_of_size("all its results", size_of(results), MOST_RESULT_BYTES)
        if error:
            self.end_as_failed(error, None)
            return
        self.cancel_open_steps()
        self.happened(
            WorkflowCompleted(
                workflow_id=self.state.workflow_id,
                opportunity_id=self.state.opportunity_id,
                concurrency_group=self.state.concurrency_group,
                execution_id=self.state.execution_id,
                results=results,
                completed_at=self.now,
                announced_as=self.state.announcements.completed,
                parent=self.state.parent,
            )
        )

    def context(self, step: Step) -> Context:
        """Return what expressions can use: see ``docs/workflows.md``."""
        context = step_context(
            input=self.state.input or {},
            results=self.state.last_results if step.undoes else self.state.results,
            steps=((each.step_type, known.status, known.error) for each, known in self.state.planned()),
            workflow_id=self.state.workflow_id,
            opportunity_id=self.state.opportunity_id,
        )
        if step.item_of is None or step.item is None:
            return context
        items = self.state.steps[step.item_of].items
        assert items is not None
        return item_context(context, element=items.elements[step.item], index=step.item)

    def deadline(self, work: Work) -> datetime | None:
        """Return when what is begun now has to be answered."""
        seconds = work.timeout_seconds
        return None if seconds is None else self.now + timedelta(seconds=seconds)

    def _next_try(self, step: Step, reason: FailureReason) -> datetime | None:
        retry = step.work.retry
        if self.state.status not in UNDER_WAY and not step.undoes:
            return None
        if not 0 < step.tries < retry.attempts or reason not in retry.on:
            return None
        return self.now + timedelta(seconds=retry.pause_before(step.tries + 1, step.step_id))
