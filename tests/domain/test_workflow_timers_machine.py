"""Whatever comes in, by clocks that differ, a step that waits for the clock has a timer, or needs none.

Timers are kept as ``workflow-timers`` keeps them, and each is fired once. Its command may be decided on what
was before the last append, as by who looks at the log just then: if nothing comes of that, it is forgotten.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain import workflow
from domain.definition import Retry, Work, WorkflowDefinition
from domain.errors import Refusal
from domain.event import Event
from domain.workflow import (
    StepCancelled,
    StepCompleted,
    StepDispatched,
    StepFailed,
    StepMapped,
    Workflow,
)
from tests.builders import NOW
from tests.domain.plans import map_step, plan, step
from tests.domain.scenario import fold

ITEMS = ("m[0]", "m[1]", "m[2]")
STEPS = ("a", "m", "z", *ITEMS)

Name = tuple[str, str, int]
"""Of a timer: what it is for, of which step and attempt."""

Decide = Callable[[Workflow], Sequence[Event]]


class Set(NamedTuple):
    """When a timer is due, and how many events there were with the one that it began with."""

    due_at: datetime
    version: int


@st.composite
def plans(draw: st.DrawFn) -> WorkflowDefinition:
    """A step, a map and a step without which there is no end, each perhaps with tries and a timeout."""

    def retry() -> Retry:
        return Retry(attempts=draw(st.integers(2, 3)), delay_seconds=draw(st.sampled_from([1, 8])), jitter=0)

    def timeout() -> float | None:
        return draw(st.sampled_from([None, 20.0]))

    undone = draw(st.sampled_from([None, Work(retry=retry())]))
    each = Work(retry=retry(), timeout_seconds=timeout())
    return plan(
        step("a", retry=retry(), timeout_seconds=timeout(), compensation=undone),
        map_step(
            "m",
            at_once=2,
            tolerate=draw(st.integers(0, 2)),
            each=each,
            retry=retry(),
            timeout_seconds=timeout(),
        ),
        step("z", retry=retry(), critical=True),
    )


class TimersMachine(RuleBasedStateMachine):
    """A workflow, its timers, and a clock that nobody else's agrees with."""

    @initialize(definition=plans())
    def begin(self, definition: WorkflowDefinition) -> None:
        self.now = NOW
        self.timers: dict[Name, Set] = {}
        self.events: list[Event] = []
        self.committed: list[int] = []
        input = {"deals": [1, 2, 3]}
        self.commit(workflow.start(definition, workflow_id="w-1", opportunity_id=None, input=input, now=NOW))

    @property
    def state(self) -> Workflow:
        return fold(workflow.evolve, self.events)

    def commit(self, new: Sequence[Event]) -> None:
        self.committed.append(len(self.events))
        for event in new:
            self.events.append(event)
            match event:
                case StepDispatched() | StepMapped() if event.deadline_at is not None:
                    self.set("deadline", event.step_type, event.attempt, event.deadline_at)
                case StepFailed() if event.retry_at is not None:
                    self.set("retry", event.step_type, event.attempt, event.retry_at)
            if isinstance(event, StepCompleted | StepFailed | StepCancelled):
                self.timers.pop(("deadline", event.step_type, event.attempt), None)

    def set(self, kind: str, step_type: str, attempt: int, due_at: datetime) -> None:
        self.timers[kind, step_type, attempt] = Set(due_at, len(self.events))

    def take(self, decide: Any, behind: float = 0, **what: Any) -> None:
        try:
            new = decide(self.state, now=self.now - timedelta(seconds=behind), **what)
        except Refusal:
            return
        if new:
            self.commit(new)

    @rule(number=st.integers(0, 9))
    def answered(self, number: int) -> None:
        if step := self.running(number):
            self.take(workflow.complete_step, step_type=step, result=True)

    @rule(number=st.integers(0, 9))
    def failed(self, number: int) -> None:
        if step := self.running(number):
            self.take(workflow.fail_step, step_type=step, error="no")

    def running(self, number: int) -> str | None:
        steps = [each.step_type for each in self.state.all_steps() if each.status == "running"]
        return steps[number % len(steps)] if steps else None

    @rule(behind=st.sampled_from([0, 2, 9]))
    def paused_and_resumed(self, behind: float) -> None:
        self.take(workflow.resume if self.state.status == "paused" else workflow.pause, behind, reason="x")

    @rule(behind=st.sampled_from([0, 2, 9]), from_step=st.sampled_from([None, "a", "m", "z"]))
    def retried(self, behind: float, from_step: str | None) -> None:
        self.take(workflow.retry, behind, from_step=from_step)

    @rule(behind=st.sampled_from([0, 2, 9]), name=st.sampled_from(STEPS))
    def step_retried(self, behind: float, name: str) -> None:
        self.take(workflow.retry_step, behind, step_id=name)

    @rule(name=st.sampled_from(STEPS))
    def skipped(self, name: str) -> None:
        self.take(workflow.skip_step, step_id=name, reason="x", may_do_all=True)

    @rule(is_overtaken=st.booleans(), number=st.integers(0, 9))
    def fired(self, is_overtaken: bool, number: int) -> None:
        """One of those that are due, or the next that will be."""
        if not self.timers:
            return
        self.now = max(self.now, min(each.due_at for each in self.timers.values()))
        due = sorted(name for name, each in self.timers.items() if each.due_at <= self.now)
        name = due[number % len(due)]
        due_at, version = self.timers.pop(name)
        decide = self.deciding(name, max(due_at, self.now))
        before = self.committed[-1]
        if is_overtaken and version <= before and not decide(fold(workflow.evolve, self.events[:before])):
            return
        if new := decide(self.state):
            self.commit(new)

    def deciding(self, name: Name, now: datetime) -> Decide:
        kind, step_type, attempt = name
        decide = workflow.time_out_step if kind == "deadline" else workflow.try_step_again
        return lambda state: decide(state, step_type=step_type, attempt=attempt, now=now)

    @invariant()
    def nobody_waits_for_a_timer_that_is_not_set(self) -> None:
        state = self.state
        for each in state.all_steps():
            if each.status == "running" and each.deadline_at is not None:
                assert ("deadline", each.step_type, each.attempt) in self.timers
            if each.status == "retrying" and state.lets_out(each):
                assert ("retry", each.step_type, each.attempt) in self.timers


TimersMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestTimersMachine = TimersMachine.TestCase
