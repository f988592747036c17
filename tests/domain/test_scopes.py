"""What the rules know of contexts beforehand, held against those that there are: ``@`` finds the whole."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import concurrency, workflow
from domain.bounded_jmespath import Allowance
from domain.definition import Concurrency, Retry, Work
from domain.errors import Refusal
from domain.event import Event
from domain.scopes import OF_A_REPLY, OneOf, Scope, Scopes, Sort
from domain.workflow import StepCompleted, StepDispatched, Workflow
from domain.workflow.correlation import message_key
from domain.workflow.events import StepMapped
from domain.workflow.step import COMPENSATION
from tests.builders import NOW
from tests.domain.plans import Run, map_step, plan, step
from tests.domain.scenario import fold

ALL = {"all": "@"}
PLAN = plan(
    step("a", result_key="of_a", retry=Retry(attempts=2, delay_seconds=1, jitter=0), input=ALL),
    map_step("b", "[@, @]", after=["a"], tolerate=1, each=Work(input=ALL), compensation=Work(input=ALL)),
    step("c", after=["b"], compensation=Work(input=ALL, retry=Retry(attempts=2)), input=ALL),
    step("d", after=["c"], critical=True, input=ALL),
)
SCOPES = Scopes(PLAN)


def misfits(known: Any, value: Any, path: str = "") -> Iterator[str]:
    """Where a value is none that was foreseen; of the results not all are there yet."""
    match known:
        case dict() if set(value) != set(known) and not (path == ".results" and set(value) < set(known)):
            yield f"{path} has {sorted(value)}, not {sorted(known)}"
        case dict():
            for name, inner in value.items():
                yield from misfits(known[name], inner, f"{path}.{name}")
        case OneOf(texts) if value not in texts:
            yield f"{path} is none of {texts}: {value}"
        case Sort.TEXT if not isinstance(value, str | None):
            yield f"{path} is no text: {value}"
        case Sort.NUMBER if not isinstance(value, int):
            yield f"{path} is no number: {value}"


def contexts(events: Sequence[Event]) -> Iterator[tuple[Scope, dict[str, Any]]]:
    """What expressions were given, and what was known of it."""
    planned = {each.step_type: each for each in PLAN.steps}
    for event in events:
        match event:
            case StepMapped(step_type=name, elements=(context, *_)):
                yield SCOPES.of_step(planned[name]), context
            case StepDispatched(step_type=name, item=None, input=input):
                undoes = name.endswith(COMPENSATION)
                yield SCOPES.of_compensation if undoes else SCOPES.of_step(planned[name]), input["all"]
            case StepDispatched(step_type=name, input=input):
                yield SCOPES.of_item(planned[name.partition("[")[0]]), input["all"]


ORDERS: dict[str, Any] = {
    "complete": lambda state, step, now: workflow.complete_step(state, step_type=step, result={}, now=now),
    "fail": lambda state, step, now: workflow.fail_step(state, step_type=step, error="no", now=now),
    "again": lambda state, step, now: workflow.try_step_again(
        state, step_type=step, attempt=state.steps[step].attempt, now=now
    ),
    "skip": lambda state, step, now: workflow.skip_step(
        state, step_id=step, reason="x", now=now, may_do_all=True
    ),
    "by hand": lambda state, step, now: workflow.complete_by_hand(
        state, step_id=step, result={}, now=now, may_do_all=True
    ),
    "retry step": lambda state, step, now: workflow.retry_step(state, step_id=step, now=now),
    "retry": lambda state, step, now: workflow.retry(state, now=now, may_do_all=True),
    "from": lambda state, step, now: workflow.retry(
        state, from_step=step, input={"other": True}, now=now, may_do_all=True
    ),
    "cancel": lambda state, step, now: workflow.cancel(state, reason="x", now=now),
    "pause": lambda state, step, now: workflow.pause(state, reason="x", now=now),
    "resume": lambda state, step, now: workflow.resume(state, now=now),
}
_orders = st.sampled_from(["complete"] * 6 + ["fail"] * 3 + list(ORDERS))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(_orders, st.integers(0, 6)), min_size=5, max_size=40))
def test_whatever_happens_no_expression_is_given_what_was_not_foreseen(orders: list[tuple[str, int]]) -> None:
    now = NOW
    events: tuple[Event, ...] = workflow.start(
        PLAN, workflow_id="w-1", opportunity_id=None, input={"deals": [1]}, now=now
    )
    state: Workflow = fold(workflow.evolve, events)
    for order, number in orders:
        assert [misfit for scope, given in contexts(events) for misfit in misfits(scope.context, given)] == []
        now += timedelta(seconds=5)
        named = sorted(state.steps)
        try:
            events = ORDERS[order](state, named[number % len(named)], now)
        except Refusal:
            events = ()
        for event in events:
            state = workflow.evolve(state, event)


def test_the_result_of_a_later_step_is_there_where_one_is_tried_again() -> None:
    """So it is no fault to speak of it."""
    steps = step("a", input=ALL), step("b", after=["a"]), step("c", after=["b"])
    run = Run.of(*steps).failed("a").completed("b")
    (again,) = run.ordered(workflow.retry_step, step_id="a").and_so().events[-1:]
    assert isinstance(again, StepDispatched)
    assert set(again.input["all"]["results"]) == {"b"}


def test_a_concurrency_key_speaks_of_what_was_foreseen() -> None:
    all_by_name = "{" + ", ".join(f"{name}: {name}" for name in SCOPES.of_key.context) + "}"
    groups = {
        concurrency.group_of(plan(step("a"), concurrency=Concurrency(key=key)), "opp-1", {"x": 1})
        for key in ("@", all_by_name)
    }
    assert len(groups) == 1


def test_replies_speak_of_what_was_foreseen() -> None:
    replies = [{"type": "a.b", "result": ALL}]
    asking = step("a", parameters={"request": "a.c", "replies": replies})
    events = workflow.take_reply(Run.of(asking).state, message_type="a.b", data={"x": 1}, now=NOW)
    (completed,) = (each for each in events if isinstance(each, StepCompleted))
    assert list(misfits(OF_A_REPLY.context, completed.result["all"])) == []
    correlated = Work(parameters={"correlation": ALL})
    _, given = json.loads(message_key("a", correlated, {"x": 1}, Allowance()) or "")
    assert list(misfits(OF_A_REPLY.context, given["all"])) == []
