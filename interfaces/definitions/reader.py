"""Reads a definition from a document, or finds all of its faults.

If a part cannot be read, the rules are still checked for the other parts: the part is replaced by a valid
one, and faults of the replacement are omitted.
"""

from collections.abc import Collection, Iterable, Sequence
from copy import deepcopy
from itertools import islice
from typing import Any, NamedTuple

from pydantic import ValidationError

from application.catalogue import faults_of
from application.received_types import not_received
from domain.definition import WorkflowDefinition
from domain.faults import Fault, path_of
from interfaces.definitions.document import DefinitionDocument, StepDocument
from interfaces.findings import Place, findings

MOST_BYTES = 256 * 1024
"""The largest size of a document."""

MOST_FAULTS = 500
_MOST_REPAIRS = 20

_NAMES_NONE = frozenset(
    field.alias or name
    for name, field in StepDocument.model_fields.items()
    if name not in ("step_type", "result_key")
)
"""The members of a step that do not name it or its result. Any other member may be a misspelt name."""


class BadDocument(ValueError):
    """A document is not a valid definition. It has all faults, or the first ``MOST_FAULTS``."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in faults))
        self.faults = tuple(faults[:MOST_FAULTS])


def read_definition(
    document: dict[str, Any], *, shipped: bool = False, wire_types: Collection[str] = ()
) -> WorkflowDefinition:
    """Return the definition in a document, which is a tenant's or a ``shipped`` one. ``wire_types`` are
    additional types of the platform's own messages, which a tenant's definition may not send.

    Raises:
        BadDocument: it is not valid.
    """
    try:
        definition = DefinitionDocument.model_validate(document).read()
    except ValidationError as error:
        raise BadDocument(_all_faults(document, error, wire_types)) from None
    faults = faults_of(definition, shipped=shipped, wire_types=wire_types)
    if told := list(islice(faults, MOST_FAULTS)):
        raise BadDocument(told)
    return definition


def read_stored_definition(document: dict[str, Any]) -> WorkflowDefinition:
    """Return the definition in a published document, without checking the rules, because it was valid by
    those at its time.

    Raises:
        BadDocument: its parts cannot be read.
    """
    try:
        return DefinitionDocument.model_validate(document).read()
    except ValidationError as error:
        raise BadDocument(_all_faults(document, error, ())) from None


class Checked(NamedTuple):
    """The faults of a document or, if it has none, what probably does not work."""

    faults: Sequence[Fault] = ()
    warnings: Sequence[Fault] = ()


def checked(
    document: dict[str, Any], *, wire_types: Collection[str] = (), received: Collection[str]
) -> Checked:
    """Return all faults of a tenant's document, in the order of its parts. If it has none, return where it
    waits for messages of types that are not among the ``received``."""
    try:
        definition = read_definition(document, wire_types=wire_types)
    except BadDocument as bad:
        return Checked(faults=bad.faults)
    return Checked(warnings=tuple(islice(not_received(definition, received), MOST_FAULTS)))


def _all_faults(document: dict[str, Any], error: ValidationError, wire_types: Collection[str]) -> list[Fault]:
    faults: dict[Fault, None] = {}
    broken: set[Place] = set()
    trial = deepcopy(document)
    for _ in range(_MOST_REPAIRS):
        for place, message in findings(error, DefinitionDocument):
            faults[Fault(path_of(place) or "body", message)] = None
            broken.add(_mendable(place))
            if len(faults) > MOST_FAULTS:
                return list(faults)
        for place in sorted(broken, key=len, reverse=True):
            _mend(trial, place)
        try:
            definition = DefinitionDocument.model_validate(trial).read()
        except ValidationError as again:
            error = again
        else:
            known = not any(map(_may_name_a_step, broken))
            others = faults_of(definition, wire_types=wire_types, steps_are_known=known)
            return list(faults | dict.fromkeys(islice(_untouched(others, broken), MOST_FAULTS)))
    return list(faults)


def _may_name_a_step(place: Place) -> bool:
    """Return whether a part that was replaced may contain the name of a step or of its result."""
    return place[:1] == ("steps",) and len(place) <= 3 and place[-1] not in _NAMES_NONE


def _mendable(place: Place) -> Place:
    """Return the part to replace because of a fault: in a list whose elements cannot be replaced, the whole
    list, so that no element changes its place."""
    for number, part in enumerate(place):
        if isinstance(part, int) and place[number - 1] not in ("steps", "triggers", "after"):
            return place[:number]
    return place


def _mend(trial: Any, place: Place) -> None:
    """Remove a faulty part, or replace it if it is required."""
    node: Any = trial
    for part in place[:-1]:
        known = range(len(node)) if isinstance(node, list) else node if isinstance(node, dict) else ()
        if part not in known:
            return
        node = node[part]
    match place:
        case ("name",):
            node["name"] = "left-out"
        case ("steps",):
            node["steps"] = [{"stepType": "left_out"}]
        case ("steps", int() as number):
            node[number] = {"stepType": f"left_out_{number}"}
        case ("steps", int() as number, "stepType"):
            node["stepType"] = f"left_out_{number}"
        case ("steps", int(), "after", int() as number):
            node[number] = "left_out"
        case ("triggers", int() as number):
            node[number] = {"messageType": "left.out"}
        case (*_, "messageType"):
            node["messageType"] = "left.out"
        case (*_, "map", "over"):
            node["over"] = "@"
        case (*_, "map", "each"):
            node["each"] = {}
        case (*_, str() as name) if isinstance(node, dict):
            node.pop(name, None)


def _untouched(faults: Iterable[Fault], broken: Iterable[Place]) -> Iterable[Fault]:
    """Yield the faults that do not concern replaced parts."""
    mended = set()
    for place in broken:
        mended.add(path_of(place))
        if place and place[-1] in ("kind", "input"):
            mended |= {path_of((*place[:-1], name)) for name in ("parameters", "map")}
    for fault in faults:
        if not any(
            fault.field == path or fault.field.startswith((f"{path}.", f"{path}[")) for path in mended
        ):
            yield fault
