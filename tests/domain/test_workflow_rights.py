"""Who may settle a step by hand where people decide: nobody in their place, only operators without them."""

from typing import Any

import pytest

from domain import workflow
from domain.definition import StepDefinition, Work
from domain.errors import NotAllowed, StepIsForPeople
from domain.workflow import Workflow
from domain.workflow.rights import Above, require_nobody_asked_above, require_none_asked_above
from tests.domain.plans import Run, map_step, step
from tests.domain.scenario import When

DECIDED = step("decided", kind="approval", after=["scored"])
EACH_DECIDED = map_step("decided", each=Work(kind="approval"), after=["scored"])
RUN_FOR_IT = step("decided", kind="workflow", after=["scored"])
ASKING = pytest.mark.parametrize("asking", [DECIDED, EACH_DECIDED, RUN_FOR_IT], ids=lambda each: each.kind)


def asked(asking: StepDefinition = DECIDED) -> Run:
    """A deal is scored, and people are to decide on it; what is done besides is nothing to them."""
    return Run.of(step("scored"), asking, step("besides"), input={"deals": [1, 2]})


def skip(run: Run, name: str, **how: bool) -> When[Workflow]:
    return run.ordered(workflow.skip_step, step_id=name, reason="x", **how)


def complete(run: Run, name: str, **how: bool) -> When[Workflow]:
    return run.ordered(workflow.complete_by_hand, step_id=name, result={"outcome": "approved"}, **how)


@ASKING
def test_an_operator_alone_does_without_a_decision_or_settles_what_it_is_asked_for(
    asking: StepDefinition,
) -> None:
    scoring, deciding = asked(asking), asked(asking).completed("scored")
    skip(scoring, "scored").then_refused(NotAllowed)
    complete(scoring, "scored").then_refused(NotAllowed)
    skip(deciding, "decided").then_refused(NotAllowed)
    assert scoring.so(skip(scoring, "scored", may_do_all=True)).status("scored") == "skipped"
    assert scoring.so(complete(scoring, "scored", may_do_all=True)).status("scored") == "completed"
    assert deciding.so(skip(deciding, "decided", may_do_all=True)).status("decided") == "skipped"


def test_no_operator_decides_in_the_place_of_people() -> None:
    run = asked().completed("scored")
    complete(run, "decided").then_refused(StepIsForPeople)
    complete(run, "decided", may_do_all=True).then_refused(StepIsForPeople)
    complete(asked(EACH_DECIDED).completed("scored"), "decided[1]", may_do_all=True).then_refused(
        StepIsForPeople
    )


def test_an_item_that_people_decide_is_an_operators_to_skip() -> None:
    run = asked(EACH_DECIDED).completed("scored")
    skip(run, "decided[1]").then_refused(NotAllowed)
    assert run.so(skip(run, "decided[1]", may_do_all=True)).status("decided[1]") == "skipped"


def test_who_was_asked_to_answer_later_answers() -> None:
    scored = step("scored", kind="http", parameters={"accepted": True})
    run = Run.of(scored, DECIDED)
    assert run.so(complete(run, "scored")).status("scored") == "completed"
    skip(run, "scored").then_refused(NotAllowed)


def test_what_is_done_besides_is_anybodys_to_settle() -> None:
    run = asked()
    assert run.so(skip(run, "besides")).status("besides") == "skipped"
    assert run.so(complete(run, "besides")).status("besides") == "completed"


def test_what_comes_after_people_is_not_settled_before_they_have_decided() -> None:
    run = Run.of(DECIDED, step("prepare", after=["decided"]), step("scored"), step("ship", after=["prepare"]))
    run = run.completed("scored")
    for name in ("prepare", "ship"):
        skip(run, name).then_refused(NotAllowed)
        complete(run, name).then_refused(NotAllowed)
    run = run.completed("decided")
    assert run.so(complete(run, "prepare")).status("ship") == "running"


def test_an_operator_alone_has_another_input_take_the_place_of_the_one_that_was_decided_on() -> None:
    run = Run.of(step("scored"), DECIDED, step("release", after=["decided"]), input={"amount": 1})
    run = run.completed("scored", "decided", "release")
    other: dict[str, Any] = {"from_step": "release", "input": {"amount": 1_000_000}}
    run.ordered(workflow.retry, **other).then_refused(NotAllowed)
    assert run.ordered(workflow.retry, **other, may_do_all=True).happened()
    assert run.ordered(workflow.retry, from_step="release", input={"amount": 1}).happened()
    assert run.ordered(workflow.retry, from_step="decided", input={"amount": 2}).happened(), "they are asked"


def test_a_truth_for_a_number_is_another_input() -> None:
    run = Run.of(step("scored"), DECIDED, step("release", after=["decided"]), input={"waived": 1})
    run = run.completed("scored", "decided", "release")
    other: dict[str, Any] = {"from_step": "release", "input": {"waived": True}}
    run.ordered(workflow.retry, **other).then_refused(NotAllowed)
    assert run.ordered(workflow.retry, from_step="release", input={"waived": 1.0}).happened()


@ASKING
def test_what_a_child_comes_to_is_an_operators_to_settle_where_people_are_asked_after_it(
    asking: StepDefinition,
) -> None:
    run = Run.of(step("scored", kind="workflow"), asking, step("besides", kind="workflow"))
    with pytest.raises(NotAllowed, match="decided of workflow w-1"):
        require_none_asked_above([above(run, "scored")])
    require_none_asked_above([above(run, "besides")])
    with pytest.raises(NotAllowed, match="decided of workflow w-1"):
        require_none_asked_above([above(run, "besides"), above(run, "scored")])


def test_what_a_child_is_given_is_an_operators_to_change_where_people_are_asked_beside_it() -> None:
    for release in (step("release", kind="workflow", after=["decided"]), step("release", kind="workflow")):
        run = Run.of(step("scored"), DECIDED, release)
        with pytest.raises(NotAllowed, match="decided of workflow w-1"):
            require_nobody_asked_above([above(run, "release")])
    alone = Run.of(step("scored"), map_step("release", each=Work(kind="workflow")), input={"deals": [1]})
    require_nobody_asked_above([above(alone, "release[0]")])


def above(run: Run, name: str) -> Above:
    return Above(run.state, run.state.steps[name])
