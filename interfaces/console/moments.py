"""Conversion of times between the fields of a form and the API. A time without an offset is in UTC."""

import re

_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)


def as_instant(value: str) -> str:
    """Return a field's time in the API's form. Anything else is returned unchanged, for the API to check."""
    if not (local := _LOCAL.fullmatch(value)):
        return value
    return f"{value}{'' if local[1] else ':00'}Z"


def as_local(value: str) -> str:
    """Return a UTC time in the form of a field. Anything else is returned unchanged."""
    local = value.removesuffix("Z")
    return local if _LOCAL.fullmatch(local) else value
