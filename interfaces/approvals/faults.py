"""Faults that rules have found, as pydantic tells its own: each at its place."""

import re
from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from domain.faults import Fault

_PART = re.compile(r"\[(?P<position>[0-9]+)\]|(?P<name>[^.\[\]]+)", re.ASCII)


def raise_faults(title: str, faults: Iterable[Fault]) -> None:
    """Refuse what has faults. Within a validator, each becomes one of the whole document's.

    Raises:
        ValidationError: with all of them.
    """
    errors = [
        InitErrorDetails(
            type=PydanticCustomError("rule", "{fault}", {"fault": message}),
            loc=_place_of(field),
            input=None,
        )
        for field, message in faults
    ]
    if errors:
        raise ValidationError.from_exception_data(title, errors)


def _place_of(field: str) -> tuple[str | int, ...]:
    """The parts of a field's path; the other way round than :func:`domain.faults.path_of`."""
    return tuple(
        int(part["position"]) if part["position"] is not None else part["name"]
        for part in _PART.finditer(field)
    )
