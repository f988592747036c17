"""What makes a definition one that can be run, rule by rule."""

import msgspec
import pytest

from domain.definition import (
    OPPORTUNITY_ANALYSIS,
    Announcements,
    Concurrency,
    MapOver,
    Retry,
    StepDefinition,
    Trigger,
    Work,
    WorkflowDefinition,
)
from domain.definition_rules import KindRules, definition_faults
from domain.faults import Fault


def a_step(step_type: str, *after: str, **fields: object) -> StepDefinition:
    return StepDefinition(**{"step_type": step_type, "after": after, "result_key": step_type, **fields})  # type: ignore[arg-type]


def plan(*steps: StepDefinition, **fields: object) -> WorkflowDefinition:
    return WorkflowDefinition(**{"name": "a-plan", "version": 1, "steps": steps, **fields})  # type: ignore[arg-type]


def faults(definition: WorkflowDefinition) -> dict[str, str]:
    """By their fields; each kind refuses the parameter ``bad``."""
    kinds: dict[str, KindRules] = {
        "event": lambda work: [Fault("parameters.bad", "is bad")] if "bad" in work.parameters else [],
        "http": lambda work: [] if "id" in work.input else [Fault("parameters", "wants an id")],
        "map": lambda work: [],
    }
    found = list(definition_faults(definition, kinds))
    assert len({fault.field for fault in found}) == len(found)
    return dict(found)


def test_what_is_built_in_has_no_fault() -> None:
    assert faults(OPPORTUNITY_ANALYSIS) == {}


@pytest.mark.parametrize("name", ["a", "deal-review", "a.b_c-d", "x9"])
def test_good_names(name: str) -> None:
    assert faults(plan(a_step("a"), name=name)) == {}


@pytest.mark.parametrize("name", ["", "Deal", "a b", "a/b", "-a", "a-", "a--b", "9a", "ä", "validate", "a\n"])
def test_bad_names(name: str) -> None:
    assert list(faults(plan(a_step("a"), name=name))) == ["name"]


@pytest.mark.parametrize("step_type", ["", "A", "a b", "a[0]", "a.b", "9a", "a-b", "ä", "a\n"])
def test_a_steps_type_is_a_plain_word(step_type: str) -> None:
    assert list(faults(plan(a_step(step_type, result_key="r")))) == ["steps[0].stepType"]


def test_types_and_result_keys_are_each_steps_own() -> None:
    assert faults(plan(a_step("a"), a_step("b", result_key="a"), a_step("a", result_key="c"))) == {
        "steps[1].resultKey": "steps[0] already has a",
        "steps[2].stepType": "steps[0] already has a",
    }


def test_a_plan_has_steps_and_not_too_many() -> None:
    assert list(faults(plan())) == ["steps"]
    assert faults(plan(*(a_step(f"s{number}") for number in range(200)))) == {}
    assert list(faults(plan(*(a_step(f"s{number}") for number in range(201))))) == ["steps"]


def test_a_step_comes_after_steps_that_there_are() -> None:
    assert faults(plan(a_step("a", "b", "c", "b"), a_step("b"))) == {
        "steps[0].after[1]": "there is no step c",
        "steps[0].after[2]": "b is listed twice",
    }


def test_a_step_cannot_come_after_itself() -> None:
    assert faults(plan(a_step("a", "a"))) == {"steps[0].after": "forms a cycle: a -> a"}


def test_each_circle_is_told_once_and_what_comes_after_one_is_unreachable() -> None:
    assert faults(
        plan(
            a_step("start"),
            a_step("a", "c", "start"),
            a_step("b", "a"),
            a_step("c", "b"),
            a_step("after_it", "start", "c"),
            a_step("x", "y"),
            a_step("y", "x", "c"),
            a_step("last", "after_it"),
        )
    ) == {
        "steps[1].after": "forms a cycle: a -> c -> b -> a",
        "steps[4].after": "depends on a cycle, so the step is unreachable",
        "steps[5].after": "forms a cycle: x -> y -> x",
        "steps[7].after": "depends on a cycle, so the step is unreachable",
    }


def test_a_long_chain_and_a_wide_fan_are_no_circles() -> None:
    chain = [a_step("s0"), *(a_step(f"s{number}", f"s{number - 1}") for number in range(1, 199))]
    assert faults(plan(*reversed(chain), a_step("end", *(f"s{number}" for number in range(199))))) == {}


@pytest.mark.parametrize("never", ["`false`", "`null`", "''", "`[]`", "`{}`"])
def test_a_condition_that_never_holds_makes_a_step_unreachable(never: str) -> None:
    assert "unreachable" in faults(plan(a_step("a", when=never)))["steps[0].when"]
    assert faults(plan(a_step("a", when="`0`"))) == {}


def test_a_list_to_go_over_is_no_other_literal() -> None:
    for over, is_one in {"'input.deals'": False, "`5`": False, "`[1, 2]`": True, "input.deals": True}.items():
        found = faults(plan(a_step("a", kind="map", map=MapOver(over=over, each=Work()))))
        assert list(found) == ([] if is_one else ["steps[0].map.over"])


def test_every_expression_is_read() -> None:
    bad = "a =="
    definition = plan(
        a_step("a", when=bad, input={"x": "input.y", "z": bad}),
        a_step("b", kind="map", map=MapOver(over=bad, each=Work(input={"x": bad}))),
        a_step("c", compensation=Work(input={"x": bad})),
        concurrency=Concurrency(key=bad),
        triggers=(Trigger(message_type="a.b", filter=bad, opportunity_id=bad, input={"x": bad}),),
    )
    found = faults(definition)
    assert set(found) == {
        "steps[0].when",
        "steps[0].input.z",
        "steps[1].map.over",
        "steps[1].map.each.input.x",
        "steps[2].compensation.input.x",
        "concurrency.key",
        "triggers[0].filter",
        "triggers[0].opportunityId",
        "triggers[0].input.x",
    }
    assert all("JMESPath" in message for message in found.values())


def test_an_expression_that_can_only_fail_is_a_fault_wherever_it_stands() -> None:
    definition = plan(
        a_step("a", when="size(input.items) > `0`", input={"x": "input.items[::0]", "y": "length(input.x)"}),
        concurrency=Concurrency(key="lower(input.customer)"),
        triggers=(Trigger(message_type="a.b", filter="len(data.items) > `3`", input={"x": "join(data.x)"}),),
    )
    assert set(faults(definition)) == {
        "steps[0].when",
        "steps[0].input.x",
        "concurrency.key",
        "triggers[0].filter",
        "triggers[0].input.x",
    }


@pytest.mark.parametrize("told", ["started", "completed", "failed"])
def test_no_definition_starts_itself_for_ever(told: str) -> None:
    announcements = Announcements(**{told: "deal.was.checked"})
    triggers = (
        Trigger(message_type="deal.was.signed"),
        Trigger(message_type="deal.was.checked"),
        Trigger(message_type="deal.was.checked", filter="data.results.again"),
    )
    found = faults(plan(a_step("a"), triggers=triggers, announcements=announcements))
    assert list(found) == ["triggers[1].messageType"]
    assert "is a message that the definition itself announces" in found["triggers[1].messageType"]


def test_no_definition_starts_itself_by_what_it_always_asks_for() -> None:
    triggers = (
        Trigger(message_type="deal.check.wanted"),
        Trigger(message_type="deal.check.wanted", filter="data.again"),
    )
    always = a_step("a", parameters={"request": "deal.check.wanted"})
    found = faults(plan(always, triggers=triggers))
    assert list(found) == ["triggers[0].messageType"]
    assert "is a message that the definition itself asks for" in found["triggers[0].messageType"]
    sometimes = a_step("a", when="input.again", parameters={"request": "deal.check.wanted"})
    assert not faults(plan(sometimes, triggers=triggers))
    assert faults(plan(a_step("a"), triggers=triggers)) == {}


def test_kinds_are_those_that_there_are_and_check_their_own_parameters_wherever_there_is_work() -> None:
    definition = plan(
        a_step("a", kind="teleport"),
        a_step("b", parameters={"bad": 1}),
        a_step("c", kind="map", map=MapOver(over="@", each=Work(parameters={"bad": 1}))),
        a_step("d", compensation=Work(kind="http")),
        a_step("e", kind="http", input={"id": "input.id"}),
    )
    assert faults(definition) == {
        "steps[0].kind": "teleport is not a kind of step; the kinds are event, http, map",
        "steps[1].parameters.bad": "is bad",
        "steps[2].map.each.parameters.bad": "is bad",
        "steps[3].compensation.parameters": "wants an id",
    }


def test_a_map_maps_and_nothing_else_does_and_not_inside_another() -> None:
    over = MapOver(over="@", each=Work())
    assert list(faults(plan(a_step("a", map=over)))) == ["steps[0].map"]
    assert list(faults(plan(a_step("a", kind="map")))) == ["steps[0].map"]
    nested = MapOver(over="@", each=Work(kind="map"))
    assert list(faults(plan(a_step("a", kind="map", map=nested)))) == ["steps[0].map.each.kind"]
    assert list(faults(plan(a_step("a", compensation=Work(kind="map"))))) == ["steps[0].compensation.kind"]


def test_times_and_retries_make_sense() -> None:
    retry = Retry(delay_seconds=10, most_seconds=5, on=("reported", "reported"))
    definition = plan(
        a_step("a", timeout_seconds=0.0, retry=retry),
        a_step("b", timeout_seconds=400 * 86_400.0),
        deadline_seconds=0.0,
        concurrency=Concurrency(debounce_seconds=-1.0),
    )
    assert set(faults(definition)) == {
        "steps[0].timeout",
        "steps[0].retry.maxDelay",
        "steps[0].retry.retryable[1]",
        "steps[1].timeout",
        "deadline",
        "concurrency.debounce",
    }


def test_of_a_longest_delay_that_nobody_wrote_it_is_told_what_it_is() -> None:
    written, unsaid = Retry(delay_seconds=10, most_seconds=5), Retry(attempts=3, delay_seconds=600)
    told = faults(plan(a_step("a", retry=written), a_step("b", retry=unsaid)))
    assert list(told.values()) == [
        "is less than the delay before the first retry",
        "is 5 min by default, which is less than the delay before the first retry",
    ]


def test_messages_have_types_of_the_platform() -> None:
    definition = msgspec.structs.replace(
        plan(a_step("a")),
        triggers=(Trigger(message_type="Deal.Signed"), Trigger(message_type="deal..signed")),
        announcements=msgspec.structs.replace(OPPORTUNITY_ANALYSIS.announcements, failed="deal failed"),
    )
    assert set(faults(definition)) == {
        "triggers[0].messageType",
        "triggers[1].messageType",
        "announcements.failed",
    }


def test_a_trigger_gives_the_input_that_the_schema_asks_for() -> None:
    """A message would start nothing, and nobody would be told but the log."""
    triggers = (
        Trigger(message_type="deal.was.won", input={"amount": "data.amount"}),
        Trigger(message_type="deal.was.lost", input={"amuont": "data.amount"}),
        Trigger(message_type="deal.was.left"),
    )
    closed = {"required": ["amount"], "properties": {"amount": True}, "additionalProperties": False}
    missing = "has no amount, which inputSchema requires"
    misspelt = "is not in inputSchema; did you mean amount?"
    definition = plan(a_step("a"), triggers=triggers, input_schema=closed)
    assert faults(definition) == {
        "triggers[1].input.amuont": misspelt,
        "triggers[1].input": missing,
        "triggers[2].input": missing,
    }
    opened = {"required": ["amount"]}
    assert faults(plan(a_step("a"), triggers=triggers, input_schema=opened)) == {
        "triggers[1].input": missing,
        "triggers[2].input": missing,
    }


def test_the_input_schema_is_one() -> None:
    assert list(faults(plan(a_step("a"), input_schema={"properties": {"a": {"type": "text"}}}))) == [
        "inputSchema.properties.a.type"
    ]
