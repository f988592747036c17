"""What a kind of step is for a definition: its name, and its parameters."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

import msgspec
from jsonschema import Draft202012Validator

from domain.definition import DEFAULT_STEP_TIMEOUT_SECONDS, Work
from domain.faults import Fault, within
from domain.json_schema import NOT_KNOWN, sound_parts, value_faults
from domain.suggestions import did_you_mean

Parameters = Mapping[str, Any]


class MoreRules(Protocol):
    """Rules on parameters that a schema cannot express. Parameters that do not fit the schema may be missing,
    or ``None``."""

    def __call__(self, parameters: Parameters, input_names: Collection[str]) -> list[Fault]:
        """Return the faults, each with its field below ``parameters``."""
        ...


class WorkRules(Protocol):
    """Rules on what a step has besides its parameters: its input, its timeout."""

    def __call__(self, work: Work) -> Iterator[Fault]:
        """Yield the faults, each with its field within the step."""
        ...


class StepKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of step.

    ``schema`` is the JSON Schema of its parameters, and ``more`` checks what it cannot express. ``looks``
    describes the form of some, instead of a pattern that they do not match. ``besides`` checks the rest of
    the step. ``timeout_seconds`` is how long a step waits for its answer if its
    definition does not say; None means as long as it takes.
    """

    name: str
    schema: Mapping[str, Any]
    looks: Mapping[str, str] = {}
    more: MoreRules | None = None
    besides: WorkRules | None = None
    timeout_seconds: float | None = DEFAULT_STEP_TIMEOUT_SECONDS

    def faults(self, work: Work) -> Iterator[Fault]:
        """Yield what is wrong with a step of this kind, each with its field within the step."""
        yield from within("parameters", self._parameter_faults(work.parameters, frozenset(work.input)))
        if self.besides is not None:
            yield from self.besides(work)

    def _parameter_faults(self, parameters: Parameters, input_names: Collection[str]) -> list[Fault]:
        faults = [self._told(fault, parameters) for fault in value_faults(self.schema, parameters, "")]
        if self.more is None:
            return faults
        if not faults:
            return self.more(parameters, input_names)
        sound, left_out = sound_parts(self.schema, parameters)
        return faults + [
            fault
            for fault in self.more(sound, input_names)
            if not any(_holds(fault, each) for each in left_out)
        ]

    def _told(self, fault: Fault, parameters: Parameters) -> Fault:
        if fault.message == NOT_KNOWN and fault.field in parameters:
            return Fault(fault.field, f"{NOT_KNOWN}{did_you_mean(fault.field, self.schema['properties'])}")
        if fault.field not in self.looks or fault.field not in parameters:
            return fault
        return Fault(fault.field, self.looks[fault.field])


def _holds(fault: Fault, field: str) -> bool:
    """Return whether a fault is of a field, or of something that contains it."""
    return not fault.field or field == fault.field or field.startswith((f"{fault.field}.", f"{fault.field}["))


def parameters(
    properties: Mapping[str, Any], *, required: Collection[str] = (), **more: Any
) -> Mapping[str, Any]:
    """Return the schema of parameters with these members and no others."""
    schema = {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
        **more,
    }
    Draft202012Validator.check_schema(schema)
    return schema


MESSAGE_TYPE = {"type": "string", "maxLength": 255, "pattern": r"^[a-z_]+(\.[a-z_]+)*$"}
"""The type of a message, which is also its routing key (wire contract, section 1)."""

MESSAGE_TYPE_LOOKS = (
    "must be a message type: lower-case letters and _, joined by dots, at most 255 characters"
)

NAME = {"type": "string", "minLength": 1, "maxLength": 128}
EXPRESSION = {"type": "string", "minLength": 1, "maxLength": 2000}
