"""Hashes of the values that a form has shown, in a hidden field: a value with another hash was changed.

Only changed values are sent. So a form does not revert what another user has changed in the meantime.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import TypeVar

import msgspec

from interfaces.console.api import Refused

SEEN = "seen"
"""The name of the hidden field."""

T = TypeVar("T")


def prints_of(shown: Mapping[str, object]) -> str:
    """Return the value of the hidden field: a hash of each value that is shown."""
    return msgspec.json.encode({name: _print_of(value) for name, value in shown.items()}).decode()


def changed_in(form: Mapping[str, str], given: Mapping[str, T]) -> dict[str, T]:
    """Return those values of a form that differ from the values that it had shown.

    Raises:
        Refused: the hidden field is missing or not valid.
    """
    try:
        seen = msgspec.json.decode(form.get(SEEN, ""), type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise Refused(400, "BAD_REQUEST", "The form does not say what was shown.") from error
    return {name: value for name, value in given.items() if _print_of(value) != seen.get(name)}


def _print_of(value: object) -> str:
    """Return a hash. Line ends do not count: a browser may change them, and some fields have none."""
    if isinstance(value, str):
        value = value.replace("\r", "").replace("\n", "").strip()
    return sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]
