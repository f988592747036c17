"""Durations in documents: seconds, or a number with its unit, such as ``15m`` or ``1d``."""

import re
from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from domain.definition_rules import LONGEST_SECONDS

SECONDS_OF = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

NONE = "none"
"""The timeout of a step that waits as long as it takes."""

_PATTERN = r"[0-9]{1,8}(\.[0-9]{1,3})?(ms|s|m|h|d)"
_EXPECTED = f"Input should be 0 to {LONGEST_SECONDS:.0f} seconds, or a duration such as 15m, 2h or 1d"
_WITH_UNIT = re.compile(rf"(?P<number>[0-9.]+)(?P<unit>{'|'.join(SECONDS_OF)})", re.ASCII)


def _schema(pattern: str) -> WithJsonSchema:
    bounds = {"minimum": 0, "maximum": int(LONGEST_SECONDS)}
    return WithJsonSchema({"type": ["number", "string"], **bounds, "pattern": f"^{pattern}$"})


def seconds_of(value: object) -> float:
    """Return the seconds of a document's duration.

    Raises:
        PydanticCustomError: it is not a duration.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST_SECONDS:
        return float(value)
    if isinstance(value, str) and re.fullmatch(_PATTERN, value, re.ASCII):
        match = _WITH_UNIT.fullmatch(value)
        assert match is not None
        return round(float(match["number"]) * SECONDS_OF[match["unit"]], 6)
    raise PydanticCustomError("duration", _EXPECTED)


def timeout_of(value: object) -> float | None:
    """Return the seconds of a duration, or None for ``none``."""
    return None if value == NONE else seconds_of(value)


Duration = Annotated[
    float,
    PlainValidator(seconds_of),
    _schema(_PATTERN),
]
Timeout = Annotated[
    float | None,
    PlainValidator(timeout_of),
    _schema(f"({NONE}|{_PATTERN})"),
]
