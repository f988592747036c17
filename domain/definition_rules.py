"""What makes a definition runnable. All faults are returned at once, each with its field."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from domain.definition import MAP, Announcements, Retry, StepDefinition, Trigger, Work, WorkflowDefinition
from domain.expression_rules import expression_faults
from domain.expressions import literal
from domain.faults import Fault, within
from domain.json_schema import schema_faults
from domain.order_rules import order_faults
from domain.scopes import Scope, Scopes, known_of_input
from domain.suggestions import did_you_mean

MOST_STEPS = 200
LONGEST_SECONDS = 366 * 24 * 3600.0

NAME = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*", re.ASCII)
STEP_TYPE = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
RESULT_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
MESSAGE_TYPE = re.compile(r"[a-z_]+(\.[a-z_]+)*", re.ASCII)

RESERVED_NAMES = ("validate",)
"""The routes use these names for something else."""

KindRules = Callable[[Work], Iterable[Fault]]
"""Returns what a kind refuses in a step's work: its parameters, names of its input, its timeout."""


def definition_faults(
    definition: WorkflowDefinition, kinds: Mapping[str, KindRules], *, steps_are_known: bool = True
) -> Iterator[Fault]:
    """Yield everything that keeps a definition from being run. ``kinds`` are the existing kinds of steps.

    If not all of its steps are known, names are not checked against them.
    """
    said = _said_by_each_run(definition)
    scopes = Scopes(definition, steps_are_known=steps_are_known)
    yield from _naming(definition)
    yield from _numbers(definition)
    yield from expression_faults("concurrency.key", definition.concurrency.key, scopes.of_key)
    for number, trigger in enumerate(definition.triggers):
        yield from within(f"triggers[{number}]", _trigger(trigger, said, scopes.of_message))
        yield from within(f"triggers[{number}]", _input_of_trigger(trigger, definition.input_schema or {}))
    for number, step in enumerate(definition.steps):
        yield from within(f"steps[{number}]", _step(step, kinds, scopes))
    yield from order_faults(definition.steps)
    yield from within("inputSchema", schema_faults(definition.input_schema or {}))


def _naming(definition: WorkflowDefinition) -> Iterator[Fault]:
    if not NAME.fullmatch(definition.name):
        message = "must be lower-case letters and digits, beginning with a letter, joined by - . or _"
        yield Fault("name", message)
    elif definition.name in RESERVED_NAMES:
        yield Fault("name", f"{definition.name} is a reserved name")
    if not definition.steps:
        yield Fault("steps", "must have at least one step")
    if len(definition.steps) > MOST_STEPS:
        yield Fault("steps", f"has {len(definition.steps)} steps; at most {MOST_STEPS} are allowed")
    yield from _twice("stepType", [(step.step_type,) for step in definition.steps])
    yield from _twice("resultKey", [(step.result_key, step.step_type) for step in definition.steps])
    for name, told in _told(definition.announcements).items():
        if not MESSAGE_TYPE.fullmatch(told):
            yield Fault(f"announcements.{name}", "must be a message type, such as deal.review.completed")


def _told(announcements: Announcements) -> Mapping[str, str]:
    """Return the types of message that are announced, by what they report."""
    named = {name: getattr(announcements, name) for name in ("started", "completed", "failed")}
    return {name: told for name, told in named.items() if told is not None}


def _twice(field: str, names: Sequence[tuple[str, ...]]) -> Iterator[Fault]:
    """Yield faults for names that two different steps share: the first of a step's names must not be another
    step's."""
    first: dict[str, int] = {}
    for number, (name, *rest) in enumerate(names):
        if name not in first:
            first[name] = number
        elif not rest or names[first[name]][1:] != tuple(rest):
            yield Fault(f"steps[{number}].{field}", f"steps[{first[name]}] already has {name}")


def _numbers(definition: WorkflowDefinition) -> Iterator[Fault]:
    if definition.deadline_seconds is not None:
        yield from _duration("deadline", definition.deadline_seconds)
    debounce = definition.concurrency.debounce_seconds
    if debounce:
        yield from _duration("concurrency.debounce", debounce)


def _duration(field: str, seconds: float) -> Iterator[Fault]:
    if not 0 < seconds <= LONGEST_SECONDS:
        yield Fault(field, "must be more than 0 and at most 366 days")


def _said_by_each_run(definition: WorkflowDefinition) -> Mapping[str, str]:
    """Return the messages that each run sends if it gets so far, and which part sends them."""
    asked = {
        str(step.parameters.get("request")): "asks for"
        for step in definition.steps
        if step.kind == "event" and step.when is None
    }
    return {**asked, **dict.fromkeys(_told(definition.announcements).values(), "announces")}


def _trigger(trigger: Trigger, said: Mapping[str, str], scope: Scope) -> Iterator[Fault]:
    if not MESSAGE_TYPE.fullmatch(trigger.message_type):
        yield Fault("messageType", "must be a message type, such as contract.signed")
    elif trigger.filter is None and trigger.message_type in said:
        yield Fault(
            "messageType",
            f"is a message that the definition itself {said[trigger.message_type]}: each run would start the"
            " next without end; give the trigger a filter",
        )
    if trigger.filter is not None:
        yield from expression_faults("filter", trigger.filter, scope)
    yield from expression_faults("opportunityId", trigger.opportunity_id, scope)
    yield from _expressions("input", trigger.input, scope)


def _input_of_trigger(trigger: Trigger, schema: Mapping[str, Any]) -> Iterator[Fault]:
    """What the schema refuses in the input of every run that the trigger asks for."""
    known = known_of_input(schema)
    if isinstance(known, dict):
        yield from (
            Fault(f"input.{name}", f"is not in inputSchema{did_you_mean(name, known)}")
            for name in trigger.input
            if name not in known
        )
    required = schema.get("required")
    for name in required if isinstance(required, list) else ():
        if isinstance(name, str) and name not in trigger.input:
            yield Fault("input", f"has no {name}, which inputSchema requires")


def _step(step: StepDefinition, kinds: Mapping[str, KindRules], scopes: Scopes) -> Iterator[Fault]:
    scope = scopes.of_step(step)
    if not STEP_TYPE.fullmatch(step.step_type):
        yield Fault("stepType", "must be lower-case letters, digits and _, beginning with a letter")
    if step.result_key != step.step_type and not RESULT_KEY.fullmatch(step.result_key):
        yield Fault("resultKey", "must be letters, digits and _, beginning with a letter")
    if step.when is not None:
        yield from _condition(step.when, scope)
    yield from _work(step, kinds, scope)
    if step.map is not None:
        yield from _list_to_go_over(step.map.over, scope)
        of_item = scopes.of_item(step)
        yield from within("map.each", _part(step.map.each, kinds, of_item, "each element's work"))
        if step.kind != MAP:
            yield Fault("map", f"is only for steps of kind map; this step is of kind {step.kind}")
    elif step.kind == MAP:
        yield Fault("map", "is required for a step of kind map")
    if step.compensation is not None:
        undoing = _part(step.compensation, kinds, scopes.of_compensation, "a compensation")
        yield from within("compensation", undoing)


def _part(work: Work, kinds: Mapping[str, KindRules], scope: Scope, what: str) -> Iterator[Fault]:
    if work.kind == MAP:
        yield Fault("kind", f"{what} cannot be of kind map")
    else:
        yield from _work(work, kinds, scope)


def _work(work: Work, kinds: Mapping[str, KindRules], scope: Scope) -> Iterator[Fault]:
    rules = kinds.get(work.kind)
    if rules is None:
        yield Fault("kind", f"{work.kind} is not a kind of step; the kinds are {', '.join(sorted(kinds))}")
    else:
        yield from rules(work)
    yield from _expressions("input", work.input, scope)
    if work.timeout_seconds is not None:
        yield from _duration("timeout", work.timeout_seconds)
    if work.retry.most_seconds < work.retry.delay_seconds:
        usual = Retry().most_seconds
        unsaid = f" {usual / 60:g} min by default, which is" if work.retry.most_seconds == usual else ""
        yield Fault("retry.maxDelay", f"is{unsaid} less than the delay before the first retry")
    yield from (
        Fault(f"retry.retryable[{number}]", f"{reason} is listed twice")
        for number, reason in enumerate(work.retry.on)
        if reason in work.retry.on[:number]
    )


def _condition(expression: str, scope: Scope) -> Iterator[Fault]:
    yield from expression_faults("when", expression, scope)
    value = literal(expression, otherwise=True)
    if value is None or value is False or value in ("", [], {}):
        yield Fault("when", "is never true, so the step is unreachable")


def _list_to_go_over(expression: str, scope: Scope) -> Iterator[Fault]:
    yield from expression_faults("map.over", expression, scope)
    if not isinstance(literal(expression, otherwise=[]), list):
        yield Fault("map.over", "is a literal, and not a list; write an expression without quotes of its own")


def _expressions(field: str, expressions: Mapping[str, str], scope: Scope) -> Iterator[Fault]:
    for name, expression in expressions.items():
        yield from expression_faults(f"{field}.{name}", expression, scope)
