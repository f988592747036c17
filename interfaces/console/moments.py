"""Moments as fields of a form have them, and as the API does: one without a zone is in UTC."""

import re

_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)


def as_instant(value: str) -> str:
    """What a field for a moment gives; anything else stays as it is, for the API to judge."""
    if not (local := _LOCAL.fullmatch(value)):
        return value
    return f"{value}{'' if local[1] else ':00'}Z"


def as_local(value: str) -> str:
    """A moment in UTC as a field for one takes it; anything else stays as it is."""
    local = value.removesuffix("Z")
    return local if _LOCAL.fullmatch(local) else value
