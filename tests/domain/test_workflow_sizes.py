"""What a workflow hands on has a largest size; what is larger fails its step and is stored nowhere."""

from domain.definition import StepDefinition, Work
from domain.workflow import StepDispatched, StepFailed
from domain.workflow.sizes import LONGEST_ERROR, MOST_INPUT_BYTES, MOST_RESULT_BYTES
from tests.domain.plans import Run, map_step, step

TOO_LARGE = {"text": "x" * MOST_INPUT_BYTES}


def dispatched(run: Run) -> list[StepDispatched]:
    return [event for event in run.events if isinstance(event, StepDispatched)]


def test_a_step_whose_input_is_too_large_fails_and_its_input_is_not_kept() -> None:
    run = Run.of(step("ask", input={"all": "input"}), step("other"), input=TOO_LARGE)
    assert run.statuses == {"ask": "failed", "other": "running"}
    (failed,) = [event for event in run.events if isinstance(event, StepFailed)]
    assert (failed.reason, failed.error[:10]) == ("rejected", "its input:")
    assert dispatched(run)[0].input == {}


def test_of_items_with_large_inputs_fewer_are_begun_at_once_and_all_in_the_end() -> None:
    each = Work(input={"all": "input"})
    large = {"deals": list(range(100)), "text": "x" * (MOST_INPUT_BYTES // 2)}
    run = Run.of(map_step("calls", each=each, at_once=100), input=large)
    before = 0
    for number in range(100):
        begun = len(dispatched(run))
        assert 5 < begun - before < 10 or begun == 100
        before = begun
        run = run.completed(f"calls[{number}]")
    assert run.state.status == "completed"
    assert len(run.state.results["calls"]) == 100


def test_a_map_whose_results_are_too_large_together_fails() -> None:
    run = Run.of(map_step("calls"), input={"deals": list(range(9))})
    for number in range(9):
        run = run.completed(f"calls[{number}]", text="x" * (MOST_RESULT_BYTES // 8))
    assert run.state.steps["calls"].status == "failed"
    assert (run.state.steps["calls"].error or "")[:16] == "all its results:"


def test_a_workflow_whose_results_are_too_large_together_fails() -> None:
    run = Run.of(*(step(f"s_{number}") for number in range(9)))
    for number in range(9):
        run = run.completed(f"s_{number}", text="x" * (MOST_RESULT_BYTES // 8))
    assert (run.state.status, (run.state.failure or "")[:16]) == ("failed", "all its results:")


def items_bytes(run: Run) -> int:
    items = run.state.steps["calls"].items
    assert items is not None
    return items.result_bytes


def child(name: str) -> StepDefinition:
    return step(name, kind="workflow", parameters={"definition": "d"})


def test_how_many_may_stand_beside_a_child_is_multiplied_from_depth_to_depth() -> None:
    each = Work(kind="workflow", parameters={"definition": "d"}, input={"n": "item"})
    run = Run.of(
        child("one"), step("other"), map_step("many", each=each, at_once=2), input={"deals": [1, 2, 3]}
    )
    assert {(event.step_type, event.breadth) for event in dispatched(run)} == {
        ("one", 1),
        ("other", 1),
        ("many[0]", 4),
        ("many[1]", 4),
    }


def test_of_a_long_error_the_beginning_is_kept() -> None:
    run = Run.of(step("ask", input={"n": "abs(input.text)"}, critical=True), input={"text": "x" * 100_000})
    assert run.state.status == "failed"
    assert len(run.state.failure or "") == LONGEST_ERROR + 1


def test_the_size_of_the_items_results_is_counted() -> None:
    run = Run.of(map_step("calls"), input={"deals": [1, 2]}).completed("calls[0]", text="x" * 100)
    assert items_bytes(run) == len('{"text":""}') + 100
    run = run.completed("calls[1]", text="y")
    assert items_bytes(run) == 2 * len('{"text":""}') + 101
