"""What a person may give a step as its result."""

from typing import Any

import pytest

from domain import workflow
from domain.definition import Work
from domain.errors import BadInput
from tests.domain.plans import Run, map_step, step

TWO = {"deals": ["x", "y"]}


def by_hand(run: Run, name: str, result: Any) -> Any:
    return run.ordered(workflow.complete_by_hand, step_id=name, result=result)


def said(run: Run, name: str, result: Any) -> str:
    refused = by_hand(run, name, result).then_refused(BadInput)
    (fault,) = refused.details
    assert fault["field"] == "result"
    return str(fault["message"])


def test_a_map_step_is_given_a_list_with_a_member_for_each_element_and_the_next_maps_over_it() -> None:
    after = map_step("after", "results.m", after=["m"])
    run = Run.of(map_step("m", tolerate=1), after, input=TWO).failed("m[0]")
    run = run.so(by_hand(run, "m", [None, {"price": 7}]))
    assert (run.state.results, run.under_way) == (
        {"m": [None, {"price": 7}]},
        ["after", "after[0]", "after[1]"],
    )


@pytest.mark.parametrize("result", [{"price": 7}, None, "x", 1])
def test_nothing_else_is_given_to_a_map_step(result: Any) -> None:
    run = Run.of(map_step("m"), input=TWO)
    assert said(run, "m", result) == "must be a list: m is a map step, with one result for each element"


@pytest.mark.parametrize("result", [[], [1], [1, 2, 3]])
def test_nor_a_list_of_another_length(result: list[Any]) -> None:
    run = Run.of(map_step("m"), step("z"), input=TWO).failed("m[0]")
    assert f"has {len(result)} elements, but must have 2: one for each element" in said(run, "m", result)


@pytest.mark.parametrize("deals", [None, {"a": 1}])
def test_where_its_elements_are_not_known_the_list_may_have_any_length(deals: Any) -> None:
    failed = Run.of(map_step("m"), step("z"), input={"deals": deals})
    waiting = Run.of(step("z"), map_step("m", after=["z"]), input=TWO)
    for run in (failed, waiting):
        assert run.so(by_hand(run, "m", [1, 2, 3])).state.results == {"m": [1, 2, 3]}


@pytest.mark.parametrize("result", [[{"v": 1}], {"v": 1}, "x", None, 7])
def test_a_call_is_given_whatever_its_answer_may_be_and_so_is_one_for_an_element(result: Any) -> None:
    run = Run.of(step("a", kind="http"), map_step("m", each=Work(kind="http")), step("z"), input=TWO)
    for name in ("a", "m[0]", "m[1]"):
        run = run.so(by_hand(run, name, result))
    assert run.state.results == {"a": result, "m": [result, result]}


@pytest.mark.parametrize("kind", ["event", "task", "wait"])
def test_any_other_step_is_given_an_object(kind: str) -> None:
    assert said(Run.of(step("a", kind=kind)), "a", [1]) == "must be an object"
