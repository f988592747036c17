"""Raises faults of the domain's rules as pydantic's errors, each at its place."""

import re
from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from domain.faults import Fault

_PART = re.compile(r"\[(?P<position>[0-9]+)\]|(?P<name>[^.\[\]]+)", re.ASCII)


def raise_faults(title: str, faults: Iterable[Fault]) -> None:
    """Raise faults, if there are any. In a validator, they become faults of the whole document.

    Raises:
        ValidationError: with all faults.
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
    """Return the parts of a field's path: the inverse of :func:`domain.faults.path_of`."""
    return tuple(
        int(part["position"]) if part["position"] is not None else part["name"]
        for part in _PART.finditer(field)
    )
