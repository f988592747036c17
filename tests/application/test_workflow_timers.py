"""One timer for each dispatch that waits for its answer, and none for what has ended."""

from collections.abc import Collection, Sequence
from datetime import datetime

import pytest

from application.policies.timer_keeper import ACTOR
from application.policies.workflow_timers import COMMANDS, STEP_DEADLINE, WorkflowTimers
from application.ports import Settled, Timer
from application.workflow_commands import TimeOutStep
from domain import workflow
from domain.definition import OPPORTUNITY_ANALYSIS
from domain.event import Event, Recorded, type_registry
from domain.lease import Lease
from tests.builders import CORRELATION, LEASE, NOW, TENANT, after, recorded
from tests.domain.scenario import fold
from tests.samples import SAMPLES

pytestmark = pytest.mark.anyio

STREAM = workflow.workflow_stream(TENANT, "w-1")
STARTED = workflow.start(OPPORTUNITY_ANALYSIS, workflow_id="w-1", opportunity_id="opp-1", input=None, now=NOW)
STEPS = [step.step_type for step in OPPORTUNITY_ANALYSIS.steps]


class KeptTimers:
    """Timers in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, Timer] = {}
        self.changes = 0
        self.ever_set: set[str] = set()

    @property
    def waiting_for(self) -> list[tuple[str, int]]:
        """Step types and attempts."""
        return sorted(
            (str(timer.payload["step_type"]), int(timer.payload["attempt"])) for timer in self.kept.values()
        )

    async def change(self, *, set: Sequence[Timer], cancel: Sequence[str], lease: Lease) -> None:
        self.changes += 1
        self.ever_set |= {timer.id for timer in set}
        self.kept.update({timer.id: timer for timer in set})
        for id in cancel:
            self.kept.pop(id, None)

    async def due(self, now: datetime, limit: int, besides: Collection[str] = ()) -> Sequence[Timer]:
        raise AssertionError("the policy only sets and cancels")

    async def settle(self, handled: Sequence[Settled], lease: Lease) -> None:
        raise AssertionError("the policy only sets and cancels")


def story(*turns: tuple[str, str]) -> tuple[Recorded, ...]:
    """A workflow's events after answers, failures and retries."""
    events: list[Event] = list(STARTED)
    for kind, step in turns:
        state = fold(workflow.evolve, events)
        if kind == "answer":
            events += workflow.complete_step(state, step_type=step, result={}, now=after(minutes=1))
        elif kind == "failure":
            events += workflow.fail_step(state, step_type=step, error="no", now=after(minutes=1))
        else:
            events += workflow.retry(state, now=after(minutes=2))
    return recorded(STREAM, events)


async def test_every_dispatch_gets_a_timer_at_its_deadline() -> None:
    timers = KeptTimers()
    await WorkflowTimers(timers).handle(story(), LEASE)
    assert timers.waiting_for == sorted((step, 1) for step in STEPS)
    assert {timer.due_at for timer in timers.kept.values()} == {after(minutes=15)}
    assert {timer.kind for timer in timers.kept.values()} == {STEP_DEADLINE}


async def test_a_step_that_ends_loses_its_timer_however_it_ends() -> None:
    timers, events = KeptTimers(), story(("answer", "forecast"), ("failure", "recommendation"))
    await WorkflowTimers(timers).handle(events[:5], LEASE)
    await WorkflowTimers(timers).handle(events[5:], LEASE)
    assert timers.waiting_for == [("risk_analysis", 1), ("risk_scoring", 1)]


async def test_a_step_that_ends_within_the_batch_never_gets_one() -> None:
    timers = KeptTimers()
    await WorkflowTimers(timers).handle(story(("answer", "forecast")), LEASE)
    assert timers.waiting_for == [("recommendation", 1), ("risk_analysis", 1), ("risk_scoring", 1)]
    assert timers.ever_set == timers.kept.keys()
    assert timers.changes == 1


async def test_a_retry_sets_a_timer_of_its_own_and_leaves_those_that_still_wait() -> None:
    timers = KeptTimers()
    await WorkflowTimers(timers).handle(story(("failure", "forecast"), ("retry", "")), LEASE)
    assert timers.waiting_for == [
        ("forecast", 2),
        ("recommendation", 1),
        ("risk_analysis", 1),
        ("risk_scoring", 1),
    ]


async def test_the_end_of_an_attempt_does_not_cancel_the_next_ones_timer() -> None:
    timers, events = KeptTimers(), story(("failure", "forecast"), ("retry", ""))
    await WorkflowTimers(timers).handle(events, LEASE)
    await WorkflowTimers(timers).handle(
        [each for each in events if type(each.event) is workflow.StepFailed], LEASE
    )
    assert ("forecast", 2) in timers.waiting_for


@pytest.mark.parametrize("size", [1, 2, 3, 50])
async def test_a_batch_handled_again_leaves_the_same_timers(size: int) -> None:
    events = story(("answer", "forecast"), ("failure", "risk_analysis"), ("retry", ""))
    once, often = KeptTimers(), KeptTimers()
    await WorkflowTimers(once).handle(events, LEASE)
    for start in range(0, len(events), size):
        for _ in range(2):
            await WorkflowTimers(often).handle(events[start : start + size], LEASE)
    assert often.kept == once.kept


async def test_events_that_begin_or_end_nothing_touch_no_timers() -> None:
    timers, policy = KeptTimers(), WorkflowTimers(KeptTimers())
    others = [SAMPLES[topic] for topic in type_registry if not policy.wants(SAMPLES[topic].event)]
    await WorkflowTimers(timers).handle(others, LEASE)
    assert not any(isinstance(each.event, workflow.StepDispatched | workflow.StepFailed) for each in others)
    assert len(others) > 3
    assert timers.changes == 0


async def test_a_due_timer_gives_up_on_that_attempt_under_the_same_correlation_and_id() -> None:
    timers, events = KeptTimers(), story()
    await WorkflowTimers(timers).handle(events, LEASE)
    (timer,) = [each for each in timers.kept.values() if each.payload["step_type"] == "forecast"]
    command = COMMANDS[timer.kind](timer)
    assert isinstance(command, TimeOutStep)
    assert (command.workflow_id, command.step, command.attempt) == ("w-1", "forecast", 1)
    assert (command.meta.tenant, command.meta.actor) == (TENANT, ACTOR)
    assert (command.meta.correlation_id, command.meta.command_id) == (CORRELATION, timer.id)
    assert command.meta.causation_id == events[3].event_id
