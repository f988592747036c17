"""Documents: what they stand for, and every fault of those that stand for nothing."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.definition import WorkflowDefinition
from domain.faults import Fault
from interfaces.definitions.reader import MOST_FAULTS, checked, read_definition
from interfaces.definitions.yaml_reader import read_yaml
from projections.definition_documents import definition_document
from tests.definitions import Document, document, runnable_definitions, step


class WithoutAliases(yaml.SafeDumper):
    """Writes each value where it stands, and line breaks of Unicode as escapes: PyYAML would fold them."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """In double quotes where that is the only way."""
        is_only_way = any(each in data for each in "\x85\u2028\u2029") or _is_a_number(data)
        style = '"' if is_only_way else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


def _is_a_number(text: str) -> bool:
    """To PyYAML 0E0 is a text, since YAML 1.1 wants a point; to JSON, and to us, it is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


WithoutAliases.add_representer(str, WithoutAliases.represent_str)


def faults_in(faulty: Document) -> Sequence[Fault]:
    return checked(faulty, received=()).faults


def fields(faulty: Document) -> list[str]:
    return [field for field, _ in faults_in(faulty)]


def messages(faulty: Document) -> dict[str, str]:
    return dict(faults_in(faulty))


@settings(deadline=None, max_examples=60)
@given(runnable_definitions())
def test_a_definitions_document_is_read_as_the_same_definition(definition: WorkflowDefinition) -> None:
    shown = definition_document(definition)
    assert read_definition(shown) == definition
    sent = msgspec.json.decode(msgspec.json.encode(shown))
    assert read_definition(sent) == definition
    assert definition_document(read_definition(sent)) == shown


@settings(deadline=None, max_examples=30)
@given(runnable_definitions())
def test_yaml_says_the_same_as_json(definition: WorkflowDefinition) -> None:
    shown = definition_document(definition)
    written = yaml.dump(shown, Dumper=WithoutAliases, allow_unicode=True).encode()
    assert read_yaml(written) == shown
    assert read_definition(read_yaml(written)) == definition


def test_what_the_service_adds_to_a_document_may_be_sent_back_and_counts_for_nothing() -> None:
    ours: dict[str, Any] = {"id": "x", "tenantId": 5, "shipped": True, "status": None, "latestVersion": 7}
    assert read_definition(document(**ours)) == read_definition(document())


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (90, 90.0),
        (1.5, 1.5),
        ("500ms", 0.5),
        ("90s", 90.0),
        ("15m", 900.0),
        ("2h", 7200.0),
        ("1.5d", 129_600.0),
    ],
)
def test_a_duration_is_seconds_or_a_number_with_its_unit(said: Any, seconds: float) -> None:
    (read,) = read_definition(document(step("a", timeout=said))).steps
    assert read.timeout_seconds == seconds


@pytest.mark.parametrize(
    "said", ["15", "m", "1w", "-1s", "1 h", "1e3s", "", True, None, -1, 0, "0s", 10**9, "999d"]
)
def test_what_is_no_duration_is_a_fault(said: Any) -> None:
    assert fields(document(step("a", timeout=said))) == ["steps[0].timeout"]


@pytest.mark.parametrize(
    ("kind", "parameters", "seconds"),
    [
        ("event", {"request": "a.b"}, 900.0),
        ("task", {"queue": "q"}, 900.0),
        ("approval", {}, None),
        ("wait", {"seconds": 1_000_000}, None),
        ("workflow", {"definition": "d"}, None),
    ],
)
def test_people_and_time_are_waited_for_as_long_as_it_takes(
    kind: str, parameters: Document, seconds: float | None
) -> None:
    silent = read_definition(document(step("a", kind=kind, parameters=parameters)))
    assert silent.steps[0].timeout_seconds == seconds
    chosen = read_definition(document(step("a", kind=kind, parameters=parameters, timeout="none")))
    assert chosen.steps[0].timeout_seconds is None


def test_every_fault_is_told_at_once_of_shape_and_of_sense() -> None:
    faulty = {
        "name": "Deal Check",
        "deadline": "soon",
        "colour": "red",
        "inputSchema": {"type": "strin"},
        "announcements": {"completed": "deal.was.checked", "failed": "hitl.deal.failed"},
        "concurrency": {"key": "lower(input.customer)"},
        "triggers": [{"filter": "a =="}, {"messageType": "a.b"}, {"messageType": "deal.was.checked"}],
        "steps": [
            step("a", "b", "nobody", kind="http", parameters={"service": "billing", "method": "GET"}),
            step("b", "a", when="a.[", input={"x": "size(input.items)", "y": "input.items[::0]"}),
            "no step",
            step("c", timeout="5 parsecs", retry={"attempts": 0, "delay": 10, "maxDelay": 5}),
            step("b"),
            {"stepType": "d", "kind": "map", "map": {"over": "input.list", "each": {"kind": "map"}}},
        ],
    }
    assert set(fields(faulty)) == {
        "name",
        "deadline",
        "colour",
        "inputSchema.type",
        "triggers[0].messageType",
        "triggers[0].filter",
        "triggers[2].messageType",
        "announcements.failed",
        "concurrency.key",
        "steps[0].after",
        "steps[0].after[1]",
        "steps[0].parameters.service",
        "steps[0].parameters.path",
        "steps[1].when",
        "steps[1].input.x",
        "steps[1].input.y",
        "steps[2]",
        "steps[3].timeout",
        "steps[3].retry.attempts",
        "steps[3].retry.maxDelay",
        "steps[4].stepType",
        "steps[5].map.each.kind",
    }


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"steps": "none"}, ["steps"]),
        ({"name": None}, ["name"]),
        ({"steps": []}, ["steps"]),
        (document(7), ["steps[0]"]),  # type: ignore[arg-type]
        (document({"kind": "task", "parameters": {"queue": "q"}}), ["steps[0].stepType"]),
        (document(step("a", kind=5)), ["steps[0].kind"]),
        (document(step("a", parameters=[])), ["steps[0].parameters"]),
        (document(step("a", 3)), ["steps[0].after[0]"]),  # type: ignore[arg-type]
        (document(step("a"), step("b", 3, "c")), ["steps[1].after[0]", "steps[1].after[1]"]),  # type: ignore[arg-type]
        (document(step("a", retry={"retryable": ["bored"]})), ["steps[0].retry.retryable[0]"]),
        (document(step("a", map={"over": 1})), ["steps[0].map.over", "steps[0].map.each", "steps[0].map"]),
        (document(step("a", input={"x": 5})), ["steps[0].input.x"]),
        (document(step("a", when=None)), ["steps[0].when"]),
        (document(triggers=[1]), ["triggers[0]"]),
        (document(step("a", resultKey=5), step("b", when="results.c || steps.d")), ["steps[0].resultKey"]),
        (document(step("a", resultkey="c"), step("b", when="results.c")), ["steps[0].resultkey"]),
        (document(7, step("b", when="results.c.x")), ["steps[0]"]),  # type: ignore[arg-type]
    ],
)
def test_a_part_that_cannot_be_read_is_one_fault_and_draws_no_others_after_it(
    broken: Document, told: list[str]
) -> None:
    whole = document() | broken
    assert [field for field in fields(whole) if field != "body"] == told


@pytest.mark.parametrize(
    ("written", "such_as"),
    [
        *((7, ': "`7`"'), (True, ': "`true`"'), (None, ': "`null`"'), (1.5, ': "`1.5`"')),
        *(([1], ""), ({"a": "b"}, ""), (10**50, "")),
    ],
)
def test_a_value_in_the_place_of_an_expression_is_told_how_one_is_written(written: Any, such_as: str) -> None:
    told = {"steps[0].input.n": f"Input should be an expression, written as a string{such_as}"}
    assert messages(document(step("a", input={"n": written}))) == told
    if written is not None:
        told = {"steps[0].when": f"Input should be an expression, written as a string{such_as}"}
        assert messages(document(step("a", when=written))) == told


def test_one_bad_reply_hides_neither_the_others_nor_what_tells_them_apart() -> None:
    replies = [{"type": "B-1"}, {"type": "b", "result": {"x": "data.x > 5"}}]
    asked = {"request": "a.asked", "replies": replies, "correlation": {"deal": "data.deal"}}
    faulty = document(step("a", parameters=asked))
    assert fields(faulty) == [
        f"steps[0].parameters.{each}"
        for each in ("replies[0].type", "replies[1].result.x", "correlation.deal")
    ]


def test_a_document_has_at_most_two_hundred_steps() -> None:
    assert fields(document(*(step(f"s{number}") for number in range(200)))) == []
    assert fields(document(*(step(f"s{number}") for number in range(201)))) == ["steps"]


def test_what_is_no_name_of_a_step_may_be_broken_and_names_are_told_all_the_same() -> None:
    broken = document(step("a", timeout="soon", retry={"attempts": 0}), step("b", when="results.c || inptu"))
    assert messages(broken)["steps[1].when"] == (
        "there is no results.c; available: a; there is no inptu; did you mean input?"
    )
    nameless = document(step("a", resultKey=5), step("b", when="results.c || inptu"))
    assert messages(nameless)["steps[1].when"] == "there is no inptu; did you mean input?"


def test_of_a_document_full_of_unknown_names_the_first_are_told_and_what_may_be_meant_of_a_few() -> None:
    """To look for that in all of them would keep everybody waiting."""
    inputs = ({f"x{it}": f"results.step_numbr_{number}{it}" for it in range(60)} for number in range(200))
    full = document(*(step(f"step_number_{number}", input=each) for number, each in enumerate(inputs)))
    found = faults_in(full)
    assert len(found) == MOST_FAULTS
    assert "did you mean" in found[0].message
    assert sum("did you mean" in each.message for each in found) < 50


def test_a_document_full_of_faults_is_told_so_without_all_of_them() -> None:
    assert len(faults_in(document(step("a", **{f"x{number}": 1 for number in range(20_000)})))) == MOST_FAULTS


@settings(deadline=None, max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "name",
                        "steps",
                        "stepType",
                        "after",
                        "kind",
                        "map",
                        "over",
                        "each",
                        "retry",
                        "input",
                        "x",
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=20,
    ).filter(lambda value: isinstance(value, dict))
)
def test_whatever_is_sent_is_a_definition_or_has_faults_with_fields(anything: Document) -> None:
    found = faults_in(anything)
    assert all(message for _, message in found)
    if not found:
        assert faults_in(definition_document(read_definition(anything))) == ()
