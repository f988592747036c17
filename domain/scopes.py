"""What is known beforehand of what expressions can use, place by place in a definition."""

from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple, get_args

from domain.contexts import Context, item_context, key_context, message_context, reply_context, step_context
from domain.definition import MAP, StepDefinition, WorkflowDefinition
from domain.suggestions import Suggestions, did_you_mean
from domain.workflow.step import APPROVAL, StepStatus

Path = tuple[str, ...]


class Sort(Enum):
    """A value of which only the sort is known. All but the first may be null as well, and have no members."""

    ANYTHING = "anything"
    TEXT = "a string"
    NUMBER = "a number"
    LIST = "a list"


class OneOf(NamedTuple):
    """A text that is one of these, or nothing."""

    texts: tuple[str, ...]

    @property
    def value(self) -> str:
        """What it is, as that of a :class:`Sort`."""
        return Sort.TEXT.value


class Scope(NamedTuple):
    """What the expressions of a place can use: a context with a :class:`Sort`, or with what the value is
    :class:`OneOf`, for each value.

    An object in it has these members and never any others. ``hints`` say for some missing members what to
    tell the author; ``suggest`` says for all others what may have been meant.
    """

    context: Context
    hints: Mapping[Path, str] = {}
    suggest: Callable[[str, Iterable[str]], str] = did_you_mean


_OF_AN_APPROVAL: Context = {
    "outcome": OneOf(("approved", "rejected", "expired", "withdrawn")),
    **dict.fromkeys(("approvalId", "decidedBy", "decidedAt", "comment", "reason", "withdrawnBy"), Sort.TEXT),
}
"""A decision: nobody can complete its step with another result."""

OF_A_REPLY = Scope(reply_context(Sort.ANYTHING))


class Scopes:
    """The scopes of a definition. If not all of its steps are known, each name of a step may exist."""

    def __init__(self, definition: WorkflowDefinition, *, steps_are_known: bool = True) -> None:
        self._steps_are_known = steps_are_known
        self._suggest = Suggestions().did_you_mean
        input = known_of_input(definition.input_schema)
        self.of_key = Scope(key_context(input=input, opportunity_id=Sort.TEXT), suggest=self._suggest)
        self.of_message = Scope(
            message_context(
                message_type=Sort.TEXT, data=Sort.ANYTHING, metadata=Sort.ANYTHING, tenant=Sort.TEXT
            ),
            suggest=self._suggest,
        )
        self._keys = Counter(step.result_key for step in definition.steps)
        self._results = {step.result_key: _known_of_result(step) for step in definition.steps}
        self._context = step_context(
            input=input,
            results=self._results,
            steps=((step.step_type, OneOf(get_args(StepStatus)), Sort.TEXT) for step in definition.steps),
            workflow_id=Sort.TEXT,
            opportunity_id=Sort.TEXT,
        )
        self._of_items: dict[Path, str] = {("opportunityId",): "; did you mean workflow.opportunityId?"}
        if steps_are_known:
            self._of_items |= _hints_of_steps(definition.steps)
        else:
            self._context |= dict.fromkeys(("results", "steps"), Sort.ANYTHING)
        self._of_steps = self._of_items | dict.fromkeys(
            (("item",), ("index",)), "; it is available only in map.each"
        )
        self.of_compensation = Scope(self._context, self._of_steps, self._suggest)

    def of_step(self, step: StepDefinition) -> Scope:
        """Return the scope of a step itself. Its own result does not exist before it has ended, even if it is
        done again."""
        return self._before_its_end(step, self._of_steps)

    def of_item(self, step: StepDefinition) -> Scope:
        """Return the scope of what a ``map`` step does for each element."""
        whole = self._before_its_end(step, self._of_items)
        context = item_context(whole.context, element=Sort.ANYTHING, index=Sort.NUMBER)
        return whole._replace(context=context)

    def _before_its_end(self, step: StepDefinition, hints: dict[Path, str]) -> Scope:
        if not self._steps_are_known or self._keys[step.result_key] > 1:
            return Scope(self._context, hints, self._suggest)
        others = {key: known for key, known in self._results.items() if key != step.result_key}
        own: dict[Path, str] = dict.fromkeys(
            (("results", step.result_key), ("results", step.step_type)),
            "; it is the step's own result, which is not available yet",
        )
        return Scope({**self._context, "results": others}, ChainMap(own, hints), self._suggest)


def _known_of_result(step: StepDefinition) -> Any:
    return {MAP: Sort.LIST, APPROVAL: _OF_AN_APPROVAL}.get(step.kind, Sort.ANYTHING)


def known_of_input(schema: Any) -> Any:
    """Return what a schema tells of the values that fit it: the members of an object if it allows no others.

    Only the keywords beside ``additionalProperties`` decide on those (JSON Schema 2020-12, core, 10.3.2.3).
    """
    match schema:
        case {"additionalProperties": False, "patternProperties": _}:
            return Sort.ANYTHING
        case {"additionalProperties": False, **others}:
            properties = others.get("properties", {})
            if isinstance(properties, Mapping):
                return {name: known_of_input(inner) for name, inner in properties.items()}
    return Sort.ANYTHING


def _hints_of_steps(steps: Iterable[StepDefinition]) -> dict[Path, str]:
    """Return hints for a step's type in place of its result's key, the other way round, or either without a
    root."""
    hints: dict[Path, str] = {}
    for step in steps:
        result = f"; did you mean results.{step.result_key}?"
        for name in (step.step_type, step.result_key):
            hints.setdefault((name,), result)
        hints.setdefault(("results", step.step_type), result)
        hints.setdefault(("steps", step.result_key), f"; did you mean steps.{step.step_type}?")
    return hints
