"""The models of a workflow definition's document, and the domain's objects for them.

The models check shapes and bounds. Rules between members are in :mod:`domain.definition_rules`.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from application.kinds import KINDS
from domain.definition import (
    DEFAULT_STEP_TIMEOUT_SECONDS,
    Announcements,
    Concurrency,
    MapOver,
    Retry,
    StepDefinition,
    Trigger,
    Work,
    WorkflowDefinition,
)
from domain.definition_rules import MESSAGE_TYPE, MOST_STEPS, NAME, RESULT_KEY, STEP_TYPE
from interfaces.definitions.durations import Duration, Timeout
from interfaces.fields import JsonObject, Silent, Version, as_integer
from interfaces.rest.models import ApiModel

_NO_NUL = r"^[^\x00]*$"

_LONGEST_QUOTED = 40


def _text(longest: int) -> Any:
    return StringConstraints(min_length=1, max_length=longest, pattern=_NO_NUL)


def _worded(longest: int, pattern: str) -> Any:
    """Return the schema of a text with a pattern. The rules check the pattern, with a better message."""
    return WithJsonSchema({"type": "string", "minLength": 1, "maxLength": longest, "pattern": f"^{pattern}$"})


def _whole(least: int, most: int) -> tuple[Any, ...]:
    return Field(ge=least, le=most), BeforeValidator(as_integer)


def _expression(value: object) -> object:
    """Refuse a value that is not a text, and tell how to write it as a literal in an expression."""
    if isinstance(value, str):
        return value
    written = json.dumps(value) if isinstance(value, bool | int | float | None) else ""
    such_as = f': "`{written}`"' if 0 < len(written) <= _LONGEST_QUOTED else ""
    raise PydanticCustomError(
        "expression", "Input should be an expression, written as a string{such_as}", {"such_as": such_as}
    )


DefinitionName = Annotated[str, _text(128), _worded(128, NAME.pattern)]
StepType = Annotated[str, _text(64), _worded(64, STEP_TYPE.pattern)]
ResultKey = Annotated[str, _text(64), _worded(64, RESULT_KEY.pattern)]
MessageType = Annotated[str, _text(255), _worded(255, MESSAGE_TYPE.pattern)]
Expression = Annotated[str, _text(2000), BeforeValidator(_expression)]
Kind = Annotated[str, _text(64)]
InputMapping = Annotated[
    dict[Annotated[str, _text(128)], Expression],
    Field(max_length=100),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": 100,
            "propertyNames": {"minLength": 1, "maxLength": 128, "pattern": _NO_NUL},
            "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 2000, "pattern": _NO_NUL},
        }
    ),
]
Reason = Literal["reported", "timed_out", "unavailable", "rejected"]

_RETRY = Retry()


class RetryDocument(ApiModel):
    """How often and when a step is tried again."""

    attempts: Annotated[int, *_whole(1, 100)] = _RETRY.attempts
    delay: Duration = _RETRY.delay_seconds
    factor: Annotated[float, Field(ge=1, le=10)] = _RETRY.factor
    max_delay: Duration = _RETRY.most_seconds
    jitter: Annotated[float, Field(ge=0, le=1)] = _RETRY.jitter
    retryable: Annotated[list[Reason], Field(default_factory=lambda: list(_RETRY.on), max_length=4)]

    def read(self) -> Retry:
        """Return the domain's object."""
        return Retry(
            attempts=self.attempts,
            delay_seconds=self.delay,
            factor=self.factor,
            most_seconds=self.max_delay,
            jitter=self.jitter,
            on=tuple(self.retryable),
        )


class WorkDocument(ApiModel):
    """Work, by its kind. ``called_elsewhere`` maps the names of other workflow engines to ours."""

    called_elsewhere: ClassVar[Mapping[str, str]] = {"retries": "retry", "with": "input"}

    kind: Kind = "event"
    input: InputMapping = Field(default_factory=dict)
    parameters: JsonObject = Field(default_factory=dict)
    timeout: Silent[Timeout] = None
    retry: RetryDocument = Field(default_factory=RetryDocument)

    def read(self) -> Work:
        """Return the domain's object."""
        return Work(**self.of_the_work())

    def of_the_work(self) -> dict[str, Any]:
        """Return the fields of work. The default timeout is that of the kind."""
        kind = KINDS.get(self.kind)
        timeout = kind.timeout_seconds if kind else DEFAULT_STEP_TIMEOUT_SECONDS
        return {
            "kind": self.kind,
            "input": self.input,
            "parameters": self.parameters,
            "timeout_seconds": self.timeout if "timeout" in self.model_fields_set else timeout,
            "retry": self.retry.read(),
        }


class MapDocument(ApiModel):
    """The work of a step of kind ``map`` for each element of the list that ``over`` returns."""

    over: Expression
    each: WorkDocument
    at_once: Annotated[int, *_whole(1, 1000)] = 10
    tolerate: Annotated[int, *_whole(0, 10_000)] = 0

    def read(self) -> MapOver:
        """Return the domain's object."""
        return MapOver(over=self.over, each=self.each.read(), at_once=self.at_once, tolerate=self.tolerate)


class StepDocument(WorkDocument):
    """A step. The default for ``resultKey`` is the step's type."""

    called_elsewhere: ClassVar[Mapping[str, str]] = {
        **WorkDocument.called_elsewhere,
        **dict.fromkeys(("dependsOn", "depends_on", "needs"), "after"),
        **dict.fromkeys(("condition", "if"), "when"),
        **dict.fromkeys(("id", "name", "type"), "stepType"),
    }

    step_type: StepType
    after: Annotated[list[StepType], Field(default_factory=list, max_length=MOST_STEPS)]
    critical: bool = False
    when: Silent[Expression] = None
    result_key: Silent[ResultKey] = None
    map: Silent[MapDocument] = None
    compensation: Silent[WorkDocument] = None

    def read(self) -> StepDefinition:
        """Return the domain's object."""
        return StepDefinition(
            **self.of_the_work(),
            step_type=self.step_type,
            after=tuple(self.after),
            critical=self.critical,
            when=self.when,
            result_key=self.result_key or self.step_type,
            map=self.map.read() if self.map else None,
            compensation=self.compensation.read() if self.compensation else None,
        )


class ConcurrencyDocument(ApiModel):
    """The policy for runs with the same key."""

    policy: Literal["allow", "skip", "replace", "queue"] = "allow"
    key: Expression = "opportunityId"
    debounce: Duration = 0.0

    def read(self) -> Concurrency:
        """Return the domain's object."""
        return Concurrency(policy=self.policy, key=self.key, debounce_seconds=self.debounce)


class TriggerDocument(ApiModel):
    """A type of message that starts the workflow."""

    message_type: MessageType
    filter: Silent[Expression] = None
    opportunity_id: Expression = "data.opportunityId"
    input: InputMapping = Field(default_factory=dict)

    def read(self) -> Trigger:
        """Return the domain's object."""
        return Trigger(
            message_type=self.message_type,
            filter=self.filter,
            opportunity_id=self.opportunity_id,
            input=self.input,
        )


class AnnouncementsDocument(ApiModel):
    """The types of the messages that announce a workflow."""

    started: Silent[MessageType] = None
    completed: Silent[MessageType] = None
    failed: Silent[MessageType] = None

    def read(self) -> Announcements:
        """Return the domain's object."""
        return Announcements(started=self.started, completed=self.completed, failed=self.failed)


Anything = Annotated[Any, WithJsonSchema({})]


class DefinitionDocument(ApiModel):
    """A definition. The last members are set only by the service. They are accepted and ignored, so that a
    response can be sent back.
    """

    name: DefinitionName
    version: Version = 1
    description: Annotated[str, StringConstraints(max_length=4000, pattern=_NO_NUL)] = ""
    needs_opportunity: bool = False
    input_schema: Silent[JsonObject] = None
    deadline: Silent[Duration] = None
    concurrency: ConcurrencyDocument = Field(default_factory=ConcurrencyDocument)
    triggers: Annotated[list[TriggerDocument], Field(default_factory=list, max_length=20)]
    announcements: AnnouncementsDocument = Field(default_factory=AnnouncementsDocument)
    steps: Annotated[list[StepDocument], Field(min_length=1, max_length=MOST_STEPS)]
    id: Anything = None
    tenant_id: Anything = None
    shipped: Anything = None
    status: Anything = None
    latest_version: Anything = None
    retired_versions: Anything = None
    created_at: Anything = None
    updated_at: Anything = None

    def read(self) -> WorkflowDefinition:
        """Return the domain's object."""
        return WorkflowDefinition(
            name=self.name,
            version=self.version,
            description=self.description,
            needs_opportunity=self.needs_opportunity,
            input_schema=self.input_schema,
            deadline_seconds=self.deadline,
            concurrency=self.concurrency.read(),
            triggers=tuple(trigger.read() for trigger in self.triggers),
            announcements=self.announcements.read(),
            steps=tuple(step.read() for step in self.steps),
        )
