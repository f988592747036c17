"""Workflows of any plan, told by what comes in."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain import workflow
from domain.definition import MapOver, Retry, StepDefinition, Work, WorkflowDefinition
from domain.event import Event
from domain.workflow import StepCancelled, StepDispatched, StepHeldBack, StepSkipped, Workflow
from tests.builders import NOW, after
from tests.domain.scenario import Given, When

ONCE_MORE = Retry(attempts=2, delay_seconds=60, jitter=0)


def step(step_type: str, *, after: Sequence[str] = (), **how: Any) -> StepDefinition:
    """A step whose result goes by its own name."""
    return StepDefinition(step_type=step_type, after=tuple(after), **{"result_key": step_type, **how})


def map_step(step_type: str, over: str = "input.deals", **how: Any) -> StepDefinition:
    """A step for each deal."""
    rules = {name: how.pop(name) for name in ("at_once", "tolerate") if name in how}
    each = how.pop("each", Work(input={"deal": "item", "place": "index"}))
    return step(step_type, kind="map", map=MapOver(over=over, each=each, **rules), **how)


def plan(*steps: StepDefinition, **how: Any) -> WorkflowDefinition:
    """A definition of these steps."""
    return WorkflowDefinition(name="plan", version=1, steps=steps, **how)


class Run(Given[Workflow]):
    """A workflow under way; each turn goes on with whatever it led to."""

    @classmethod
    def of(cls, *steps: StepDefinition, input: Mapping[str, Any] | None = None, **how: Any) -> "Run":
        started = workflow.start(
            plan(*steps, **how), workflow_id="w-1", opportunity_id="opp-1", input=input, now=NOW
        )
        return cls(workflow.evolve, *started)

    def so(self, turn: When[Workflow]) -> "Run":
        """Go on after a turn."""
        return Run(workflow.evolve, *turn.and_so().events)

    def completed(self, *steps: str, minutes: float = 1, **result: Any) -> "Run":
        """Answers to these steps, one after the other."""
        run = self
        for each in steps:
            run = run.so(run.completing(each, minutes=minutes, **result))
        return run

    def completing(self, step: str, minutes: float = 1, **result: Any) -> When[Workflow]:
        return self.when(
            lambda state: workflow.complete_step(
                state, step_type=step, result=result or {"of": step}, now=after(minutes=minutes)
            )
        )

    def failed(self, *steps: str, minutes: float = 1, reason: Any = "reported") -> "Run":
        """Reports of failure."""
        run = self
        for each in steps:
            run = run.so(run.failing(each, minutes=minutes, reason=reason))
        return run

    def failing(self, step: str, minutes: float = 1, reason: Any = "reported") -> When[Workflow]:
        return self.when(
            lambda state: workflow.fail_step(
                state, step_type=step, error="no", reason=reason, now=after(minutes=minutes)
            )
        )

    def tried_again(self, step: str, attempt: int = 1, minutes: float = 2) -> When[Workflow]:
        return self.when(
            lambda state: workflow.try_step_again(
                state, step_type=step, attempt=attempt, now=after(minutes=minutes)
            )
        )

    def held_back(self, step: str, attempt: int = 1, minutes: float = 2) -> "Run":
        """The timer of its next try comes, nothing goes out, and that is kept."""
        turn = self.tried_again(step, attempt=attempt, minutes=minutes)
        (event,) = turn.happened()
        assert isinstance(event, StepHeldBack), event
        assert (event.step_type, event.attempt, event.held_back_at) == (step, attempt, after(minutes=minutes))
        return self.so(turn)

    def ordered(self, order: Any, minutes: float = 5, **what: Any) -> When[Workflow]:
        return self.when(lambda state: order(state, now=after(minutes=minutes), **what))

    def status(self, step: str) -> str:
        return self.state.steps[step].status

    @property
    def statuses(self) -> dict[str, str]:
        """Of the plan's steps."""
        return {each.step_type: known.status for each, known in self.state.planned()}

    @property
    def under_way(self) -> list[str]:
        """Every step that runs, items and compensations too."""
        return sorted(step.step_type for step in self.state.steps.values() if step.status == "running")


def dispatched(events: Sequence[Event]) -> list[tuple[str, int]]:
    """What was handed out: step types and attempts."""
    return [(each.step_type, each.attempt) for each in events if isinstance(each, StepDispatched)]


def cancelled(events: Sequence[Event]) -> list[str]:
    """Whom nobody waits for any more."""
    return [each.step_type for each in events if isinstance(each, StepCancelled)]


def skipped(events: Sequence[Event]) -> list[str]:
    """What was left out."""
    return [each.step_type for each in events if isinstance(each, StepSkipped)]
