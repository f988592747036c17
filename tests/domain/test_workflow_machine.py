"""The aggregate against a plain model: any plan, and whatever comes in, in any order.

The model knows nothing of events. It keeps a dictionary of statuses and, after each turn, goes over all steps
again and again until nothing changes any more.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain import workflow
from domain.definition import Retry, StepDefinition, WorkflowDefinition
from domain.errors import Conflict
from domain.event import Event
from domain.workflow import StepDispatched, Workflow
from tests.builders import NOW
from tests.domain.plans import plan, step
from tests.domain.scenario import fold

NAMES = ("a", "b", "c", "d", "e")
_OPEN = ("running", "retrying")
_ENDED = ("completed", "failed", "skipped", "cancelled")


@st.composite
def plans(draw: st.DrawFn) -> WorkflowDefinition:
    """Up to five steps, each after some of those before it, listed in any order."""
    steps: list[StepDefinition] = []
    for name in NAMES[: draw(st.integers(1, 5))]:
        before = [each.step_type for each in steps]
        steps.append(
            step(
                name,
                after=draw(st.lists(st.sampled_from(before), unique=True)) if before else (),
                critical=draw(st.booleans()),
                when=draw(st.sampled_from([None, None, "`false`", "results.a"])),
                retry=Retry(attempts=draw(st.integers(1, 3)), delay_seconds=1, factor=1, jitter=0),
            )
        )
    return plan(*draw(st.permutations(steps)))


class Model:
    """What ought to be."""

    def __init__(self, definition: WorkflowDefinition) -> None:
        self.plan = {each.step_type: each for each in definition.steps}
        self.steps = dict.fromkeys(self.plan, "pending")
        self.tries = dict.fromkeys(self.plan, 0)
        self.left_out: set[str] = set()
        self.status = "running"
        self.settle()

    def settle(self) -> None:
        changed = True
        while changed and self.status == "running":
            changed = False
            if any(self.plan[name].critical and status == "failed" for name, status in self.steps.items()):
                self.status = "failed"
                return
            for name, each in self.plan.items():
                if self.steps[name] == "pending" and all(self.steps[it] in _ENDED for it in each.after):
                    self.begin(name)
                    changed = True
                    break
        if self.status == "running" and all(status in _ENDED for status in self.steps.values()):
            self.status = "completed"

    def begin(self, name: str) -> None:
        when = self.plan[name].when
        holds = when is None or (when == "results.a" and self.steps.get("a") == "completed")
        self.steps[name], self.tries[name] = ("running", 1) if holds else ("skipped", 0)

    def complete(self, name: str) -> None:
        if self.steps[name] in _OPEN:
            self.steps[name] = "completed"
            self.settle()

    def fail(self, name: str) -> None:
        if self.steps[name] == "running":
            goes_on = self.status in ("running", "paused")
            left = goes_on and self.tries[name] < self.plan[name].retry.attempts
            self.steps[name] = "retrying" if left else "failed"
            self.settle()

    def pause_is_over(self, name: str) -> None:
        if self.steps[name] == "retrying" and self.status == "running":
            self.steps[name] = "running"
            self.tries[name] += 1

    def cancel(self) -> None:
        if self.status in ("running", "paused"):
            self.steps = {name: "cancelled" if each in _OPEN else each for name, each in self.steps.items()}
            self.status = "cancelled"

    def resume(self) -> None:
        if self.status == "paused":
            self.status = "running"
            for name in self.steps:
                self.pause_is_over(name)
            self.settle()

    def skip(self, name: str) -> None:
        if self.status in ("running", "paused") and self.steps[name] in ("pending", *_OPEN, "failed"):
            self.reopen_after({name})
            self.steps[name] = "skipped"
            self.left_out.add(name)
            self.settle()

    def complete_by_hand(self, name: str) -> None:
        if self.status in ("running", "paused") and self.steps[name] in ("pending", *_OPEN, "failed"):
            self.reopen_after({name})
            self.steps[name] = "completed"
            self.settle()

    def retry_step(self, name: str) -> None:
        if self.status in ("running", "paused") and self.steps[name] in ("retrying", "failed"):
            self.reopen_after({name})
            self.tries[name] = self.tries[name] + 1 if self.steps[name] == "retrying" else 1
            self.steps[name] = "running"
            self.settle()

    def reopen_after(self, names: set[str]) -> None:
        """What was skipped after these, by no operator, is to be looked at again."""
        again = {
            name
            for name in self.descendants(names)
            if self.steps[name] == "skipped" and name not in self.left_out
        }
        self.steps |= dict.fromkeys(again, "pending")

    def retry(self) -> None:
        if self.status in ("running", "paused"):
            return
        again = {name for name, each in self.steps.items() if each in ("failed", "cancelled", "retrying")}
        if again or "pending" in self.steps.values():
            self.reopen_after(again)
            self.steps |= dict.fromkeys(again, "pending")
            self.status = "running"
            self.settle()

    def descendants(self, names: set[str]) -> set[str]:
        found = set(names)
        for _ in self.plan:
            found |= {name for name, each in self.plan.items() if found & set(each.after)}
        return found - names


class WorkflowMachine(RuleBasedStateMachine):
    """Drives both with the same."""

    @initialize(definition=plans())
    def begin(self, definition: WorkflowDefinition) -> None:
        self.now = NOW
        self.events: list[Event] = list(
            workflow.start(definition, workflow_id="w-1", opportunity_id=None, input=None, now=NOW)
        )
        self.state: Workflow = fold(workflow.evolve, self.events)
        self.model = Model(definition)

    def take(self, decide: Any, **what: Any) -> None:
        self.now += timedelta(seconds=5)
        new: Sequence[Event] = ()
        try:
            new = decide(self.state, now=self.now, **what)
        except Conflict:
            assert decide not in (workflow.complete_step, workflow.fail_step)
        for event in new:
            self.state = workflow.evolve(self.state, event)
        self.events += new

    def named(self, number: int) -> str:
        return sorted(self.model.plan)[number % len(self.model.plan)]

    @rule(number=st.integers(0, 4))
    def answered(self, number: int) -> None:
        self.take(workflow.complete_step, step_type=self.named(number), result=True)
        self.model.complete(self.named(number))

    @rule(number=st.integers(0, 4))
    def failed(self, number: int) -> None:
        self.take(workflow.fail_step, step_type=self.named(number), error="no")
        self.model.fail(self.named(number))

    @rule(number=st.integers(0, 4))
    def timed_out(self, number: int) -> None:
        step = self.state.steps[self.named(number)]
        self.now += timedelta(hours=1)
        self.take(workflow.time_out_step, step_type=step.step_type, attempt=step.attempt)
        self.model.fail(self.named(number))

    @rule(number=st.integers(0, 4))
    def pause_was_over(self, number: int) -> None:
        step = self.state.steps[self.named(number)]
        self.take(workflow.try_step_again, step_type=step.step_type, attempt=step.attempt)
        self.model.pause_is_over(step.step_type)

    @rule()
    def cancelled(self) -> None:
        self.take(workflow.cancel, reason="x")
        self.model.cancel()

    @precondition(lambda self: self.model.status in ("running", "paused"))
    @rule()
    def paused(self) -> None:
        self.take(workflow.pause, reason="x")
        self.model.status = "paused"

    @rule()
    def resumed(self) -> None:
        self.take(workflow.resume)
        self.model.resume()

    @rule(number=st.integers(0, 4))
    def skipped(self, number: int) -> None:
        self.take(workflow.skip_step, step_id=self.named(number), reason="x")
        self.model.skip(self.named(number))

    @rule(number=st.integers(0, 4))
    def completed_by_hand(self, number: int) -> None:
        self.take(workflow.complete_by_hand, step_id=self.named(number), result={"of": self.named(number)})
        self.model.complete_by_hand(self.named(number))

    @rule(number=st.integers(0, 4))
    def retried_by_itself(self, number: int) -> None:
        self.take(workflow.retry_step, step_id=self.named(number))
        self.model.retry_step(self.named(number))

    @rule()
    def retried(self) -> None:
        self.take(workflow.retry)
        self.model.retry()

    @invariant()
    def is_as_the_model_says(self) -> None:
        assert self.state.status == self.model.status
        assert {name: each.status for name, each in self.state.steps.items()} == self.model.steps
        results = {name for name, each in self.model.steps.items() if each == "completed"}
        assert set(self.state.results) == results

    @invariant()
    def is_what_its_events_say(self) -> None:
        assert fold(workflow.evolve, self.events) == self.state
        sent = [each for each in self.events if isinstance(each, StepDispatched)]
        assert len({(each.step_id, each.attempt) for each in sent}) == len(sent)


WorkflowMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestWorkflowMachine = WorkflowMachine.TestCase
