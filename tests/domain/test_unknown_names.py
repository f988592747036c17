"""Names that expressions speak of, and that are never there where they stand."""

import pytest

from domain.definition import Concurrency, MapOver, StepDefinition, Trigger, Work, WorkflowDefinition
from domain.definition_rules import KindRules, definition_faults
from tests.domain.plans import map_step, step

STEP_NAMES = "; available: input, results, steps, workflow"


def faults(*steps: StepDefinition, **fields: object) -> dict[str, str]:
    """By their fields, with all that there is to a plan of these steps."""
    definition = WorkflowDefinition(**{"name": "a-plan", "version": 1, "steps": steps, **fields})  # type: ignore[arg-type]
    kinds: dict[str, KindRules] = dict.fromkeys(("event", "map"), lambda work: [])
    return dict(definition_faults(definition, kinds))


def told(expression: str) -> str | None:
    """What is wrong with the condition of a step that comes after ``score``, whose result is ``scored``."""
    steps = step("score", result_key="scored"), step("ask", after=["score"], when=expression)
    return faults(*steps).get("steps[1].when")


UNKNOWN = {
    "inptu.amount > `5`": "there is no inptu; did you mean input?",
    "nothing": f"there is no nothing{STEP_NAMES}",
    "results.scroed.risk": "there is no results.scroed; did you mean scored?",
    "results.other": "there is no results.other; available: scored",
    "steps.scores.status == 'failed'": "there is no steps.scores; did you mean score?",
    "steps.other": "there is no steps.other; available: score, ask",
    "steps.score.state": "there is no steps.score.state; did you mean status?",
    "steps.score.result": "there is no steps.score.result; available: status, error",
    "workflow.opportunity": "there is no workflow.opportunity; did you mean opportunityId?",
    "workflow.definition.name": "there is no workflow.definition; available: id, opportunityId",
    # It is there, and elsewhere
    "results.score.risk": "there is no results.score; did you mean results.scored?",
    "steps.scored.status": "there is no steps.scored; did you mean steps.score?",
    "score.risk": "there is no score; did you mean results.scored?",
    "scored.risk": "there is no scored; did you mean results.scored?",
    "opportunityId": "there is no opportunityId; did you mean workflow.opportunityId?",
    "item.price": "there is no item; it is available only in map.each",
    "index": "there is no index; it is available only in map.each",
    "results.ask": "there is no results.ask; it is the step's own result, which is not available yet",
    # A value that is written as in another language
    "input.a == null": "there is no null; write null in backticks: `null`",
    "true == input.a || results.scored.ok != false": (
        "there is no true; write true in backticks: `true`;"
        " there is no false; write false in backticks: `false`"
    ),
    'input.a == "score"': (
        "there is no score; double quotes make it a name, write a string in single quotes: 'score'"
    ),
    'contains(input.list, "New York")': (
        "there is no \"New York\"; double quotes make it a name, write a string in single quotes: 'New York'"
    ),
    '"score".risk > `1`': "there is no score; did you mean results.scored?",
    # A text has no members
    "steps.score.error.message": "there is no steps.score.error.message: steps.score.error is a string",
    "workflow.id.x.y": "there is no workflow.id.x: workflow.id is a string",
    # However it is written
    '"inptu"."amount"': "there is no inptu; did you mean input?",
    'steps."score[0]".status': 'there is no steps."score[0]"; did you mean score?',
    "@.inptu": "there is no inptu; did you mean input?",
    "@ | @ | (inptu)": "there is no inptu; did you mean input?",
    "!inptu": "there is no inptu; did you mean input?",
    "input.amount > inptu.limit": "there is no inptu; did you mean input?",
    "input.a || (input.b && inptu)": "there is no inptu; did you mean input?",
    "[input, [inptu]]": "there is no inptu; did you mean input?",
    "{a: inptu}.a": "there is no inptu; did you mean input?",
    "length(inptu)": "there is no inptu; did you mean input?",
    "sort_by(inptu.items, &price)": "there is no inptu; did you mean input?",
    "inptu.items[0].price": "there is no inptu; did you mean input?",
    "inptu.items[1:]": "there is no inptu; did you mean input?",
    "inptu.items[*].price": "there is no inptu; did you mean input?",
    "inptu.items[]": "there is no inptu; did you mean input?",
    "inptu.items[?price > `1`]": "there is no inptu; did you mean input?",
    "inptu.*.price": "there is no inptu; did you mean input?",
    "results | scroed": "there is no results.scroed; did you mean scored?",
    "workflow.[id, name]": "there is no workflow.name; available: id, opportunityId",
    "workflow.{a: id, b: name}": "there is no workflow.name; available: id, opportunityId",
    "steps.scores.*": "there is no steps.scores; did you mean score?",
    "|".join(["@"] * 900) + "|inptu": "there is no inptu; did you mean input?",
    "inptu" + ".a" * 900: "there is no inptu; did you mean input?",
    # All of them, each once
    "inptu.a || results.nothing || inptu.b": (
        "there is no inptu; did you mean input?; there is no results.nothing; available: scored"
    ),
}

POSSIBLE = (
    *("input", "input.anything.at.all", "input.items[0].results.x", "results.scored.any.thing", "@", "*"),
    *("steps.score.status", "steps.ask.status", "steps.score.error", "workflow.id", "workflow.opportunityId"),
    # From here on the present node is another
    *("input.items[*].inptu", "input.items[].inptu", "input.items[?inptu > scroed].nothing", "*.inptu"),
    *("input.items[1:].inptu", "input.items[0].inptu", "input | inptu", "results.scored | inptu.nothing"),
    *("steps.*.nothing", "steps.* | [0].nothing", "[input, results] | [0].inptu", "[?inptu]", "[*].inptu"),
    *("input.{a: inptu}", "input.[inptu]", "{inptu: input}.inptu", "{inptu: input} | inptu", "[].inptu"),
    *("sort_by(input.items, &inptu)", "map(&inptu.x, input.items)", "max_by(values(results), &inptu)"),
    *("merge(input, results).inptu", "not_null(input.a, results.scored).inptu", "(input || results).inptu"),
    *("(input && results).inptu", "keys(@)", "keys(results)", "to_string(@)", "steps | keys(@)"),
    *('`{"inptu": 1}`.inptu', "'inptu'", "`[]` | [0].inptu", "contains(keys(results), 'nothing')"),
    *('"input"."a"', 'steps."score".status', 'input."results.nothing"'),
)


@pytest.mark.parametrize("expression", UNKNOWN)
def test_a_name_that_is_never_there_is_told_with_what_may_have_been_meant(expression: str) -> None:
    assert told(expression) == UNKNOWN[expression]


@pytest.mark.parametrize("expression", POSSIBLE)
def test_what_may_be_there_is_no_fault(expression: str) -> None:
    assert told(expression) is None


def test_what_there_is_to_speak_of_depends_on_the_place() -> None:
    bad = "nothing"
    found = faults(
        step("a", when=bad, input={"x": "input.y", "z": bad}),
        map_step("b", over=bad, each=Work(input={"x": bad, "y": "item", "z": "index"}), after=["a"]),
        step("c", compensation=Work(input={"x": bad, "own": "results.c", "later": "results.d"}), after=["b"]),
        step("d", after=["c"]),
        concurrency=Concurrency(key=bad),
        triggers=(
            Trigger(message_type="a.b", filter=bad, opportunity_id=bad, input={"x": bad}),
            Trigger(message_type="a.c", filter="type", input={"a": "tenantId", "b": "metadata.x"}),
        ),
    )
    of_key = "there is no nothing; available: input, opportunityId"
    of_message = "there is no nothing; available: type, data, metadata, tenantId"
    of_step = f"there is no nothing{STEP_NAMES}"
    assert found == {
        "concurrency.key": of_key,
        "triggers[0].filter": of_message,
        "triggers[0].opportunityId": of_message,
        "triggers[0].input.x": of_message,
        "steps[0].when": of_step,
        "steps[0].input.z": of_step,
        "steps[1].map.over": of_step,
        "steps[1].map.each.input.x": f"{of_step}, item, index",
        "steps[2].compensation.input.x": of_step,
    }


def test_before_it_has_ended_a_step_has_no_result_of_its_own() -> None:
    each = MapOver(over="results.a", each=Work(input={"x": "results.a"}))
    found = faults(step("a", kind="map", map=each, when="results.a", input={"x": "[results.a, steps.a]"}))
    assert set(found) == {
        "steps[0].when",
        "steps[0].input.x",
        "steps[0].map.over",
        "steps[0].map.each.input.x",
    }
    told = "there is no results.a; it is the step's own result, which is not available yet"
    assert set(found.values()) == {told}


def test_results_of_steps_beside_it_and_after_it_may_be_there() -> None:
    """They are where one beside it is faster, a person completes one, or it failed and is tried again."""
    assert not faults(
        step("a", when="!results.b", input={"x": "results.c"}), step("b"), step("c", after=["a", "b"])
    )


OF_KINDS = {
    "results.signed.outcom == 'approved'": "there is no results.signed.outcom; did you mean outcome?",
    "results.signed.decision": (
        "there is no results.signed.decision; available: outcome, approvalId, decidedBy, decidedAt, comment,"
        " reason, withdrawnBy"
    ),
    "'aproved' == results.signed.outcome": (
        "results.signed.outcome is never 'aproved'; did you mean approved?"
    ),
    "'no' != results.signed | @.outcome": None,
    "'no' != (results.signed | @.outcome)": (
        "results.signed.outcome is never 'no'; it is one of approved, rejected, expired, withdrawn"
    ),
    "results.signed.comment.text": (
        "there is no results.signed.comment.text: results.signed.comment is a string"
    ),
    "input.x || !(steps.sign.status != 'complete')": (
        "steps.sign.status is never 'complete'; did you mean completed?"
    ),
    "results.quotes.price": "there is no results.quotes.price: results.quotes is a list",
    "results.signed.outcome == 'approved' && steps.quotes.status == 'skipped'": None,
    "results.signed.outcome == `null` || results.signed.outcome == input.x": None,
    "results.quotes[0].price || results.quotes[*].price || length(results.quotes)": None,
    "(results.signed.outcome || 'none') == 'none' || results.signed.comment == 'fine'": None,
}


@pytest.mark.parametrize("expression", OF_KINDS)
def test_a_decision_a_list_and_a_status_are_known_beforehand(expression: str) -> None:
    signed, quotes = step("sign", kind="approval", result_key="signed"), map_step("quotes")
    kinds: dict[str, KindRules] = dict.fromkeys(("event", "map", "approval"), lambda work: [])
    asking = step("ask", when=expression)
    definition = WorkflowDefinition(name="a-plan", version=1, steps=(signed, quotes, asking))
    told = dict(definition_faults(definition, kinds)).get("steps[2].when")
    assert told == OF_KINDS[expression]


CLOSED = {
    "additionalProperties": False,
    "properties": {
        "amount": {"type": "number"},
        "deal": {"properties": {"stage": True}, "additionalProperties": False},
        "open": {"properties": {"stage": True}},
    },
}


@pytest.mark.parametrize(
    ("expression", "what_is_wrong"),
    [
        ("input.amuont > `5`", "there is no input.amuont; did you mean amount?"),
        ("input.deal.stagee", "there is no input.deal.stagee; did you mean stage?"),
        ("input.[amount, size]", "there is no input.size; available: amount, deal, open"),
        ("input.deal.stage.anything || input.open.anything || input.deal[0].x || input.*.x", None),
    ],
)
def test_input_has_no_members_but_those_of_a_schema_that_allows_no_others(
    expression: str, what_is_wrong: str | None
) -> None:
    told = [] if what_is_wrong is None else [("steps[0].when", what_is_wrong)]
    assert list(faults(step("a", when=expression), input_schema=CLOSED).items()) == told
    of_children = map_step("a", each=Work(input={"x": expression}), over="input.open")
    found = faults(of_children, concurrency=Concurrency(key=expression), input_schema=CLOSED)
    assert set(found.values()) == set(dict(told).values())
    assert len(found) == 2 * len(told)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"amount": True}},
        {"properties": {"amount": True}, "additionalProperties": {"type": "string"}},
        {"properties": {"amount": True}, "additionalProperties": False, "patternProperties": {"^x": True}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"additionalProperties": False}}},
    ],
)
def test_input_may_have_other_members_where_its_schema_may_allow_them(schema: object) -> None:
    assert not faults(step("a", when="input.x"), input_schema=schema)


def test_of_two_steps_with_one_key_each_may_mean_the_other() -> None:
    assert list(faults(step("a"), step("b", result_key="a", when="results.a"))) == ["steps[1].resultKey"]


def test_of_very_many_unknown_names_what_may_be_meant_is_looked_for_in_a_few() -> None:
    expressions = {f"x{number}": f"results.{'ab' * 29}{number:05}" for number in range(60)}
    steps = [step(f"{'ba' * 30}_{number:03}", input=expressions) for number in range(200)]
    found = faults(*steps)
    assert len(found) == 12_000
    assert 0 < sum("did you mean" in message for message in found.values()) < 50
