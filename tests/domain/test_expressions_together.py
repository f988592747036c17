"""What the expressions of one command, or of one message, may do together: everybody else waits for it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from domain.bounded_jmespath import MOST_WORK, MOST_WORK_TOGETHER, Allowance
from domain.definition import Work
from domain.expressions import BadExpression, found, mapped
from tests.domain.plans import Run, dispatched, map_step, step

LONG = {"l": list(range(50_000))}
EXPENSIVE = "length(l[?@ > `5`])"
EXPENSIVE_INPUT = EXPENSIVE.replace("l[", "input.l[")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < seconds


def test_a_mapping_has_one_allowance() -> None:
    assert found(EXPENSIVE, LONG) == 49_994
    with within(10), pytest.raises(BadExpression, match="the expressions that are evaluated with it are too"):
        mapped({str(number): EXPENSIVE for number in range(50)}, LONG)


def test_an_expression_that_is_too_expensive_by_itself_is_told_so_and_leaves_the_rest() -> None:
    allowance = Allowance()
    with pytest.raises(BadExpression, match="the expression is too expensive"):
        found(f"[{','.join([EXPENSIVE] * 5)}]", LONG, allowance)
    assert not allowance.is_spent
    assert MOST_WORK <= MOST_WORK_TOGETHER - allowance.left < 1.5 * MOST_WORK


def test_a_plan_of_expensive_steps_does_not_hold_up_the_commands_of_others() -> None:
    steps = [
        step(f"s{number}", when=EXPENSIVE_INPUT, input=dict.fromkeys("abcd", EXPENSIVE_INPUT))
        for number in range(10)
    ]
    with within(10):
        run = Run.of(*steps, step("cheap", input={"n": "input.n"}), input=LONG)
    statuses = list(run.statuses.values())
    assert statuses[0] == "running"
    assert statuses[-2] == "failed"
    error = run.state.steps["s9"].error
    assert error is not None
    assert error.endswith("the expressions that are evaluated with it are too expensive to evaluate")


def test_a_map_leaves_items_whose_expressions_take_long_to_later_turns() -> None:
    each = Work(input={"n": "item", "expensive": "length(input.l[?@ > `5`])"})
    run = Run.of(
        map_step("calls", at_once=40, each=each), input={"deals": list(range(40)), "l": list(range(10_000))}
    )
    assert 5 < len(dispatched(run.events)) < 30
    while run.state.status == "running":
        run = run.completed(run.under_way[1])
    assert run.statuses == {"calls": "completed"}
