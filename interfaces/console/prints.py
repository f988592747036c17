"""Prints of what a form has shown, which go along with it: what differs from them, somebody has changed.

So what another has changed meanwhile is not put back by a form that was filled in before.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import TypeVar

import msgspec

from interfaces.console.api import Refused

SEEN = "seen"
"""The field of a form that holds them."""

T = TypeVar("T")


def prints_of(shown: Mapping[str, object]) -> str:
    """The value of that field: a print of each of the others."""
    return msgspec.json.encode({name: _print_of(value) for name, value in shown.items()}).decode()


def changed_in(form: Mapping[str, str], given: Mapping[str, T]) -> dict[str, T]:
    """What of ``given``, which a form has brought back, is not as it was shown.

    Raises:
        Refused: The form does not say what was shown..
    """
    try:
        seen = msgspec.json.decode(form.get(SEEN, ""), type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise Refused(400, "BAD_REQUEST", "The form does not say what was shown.") from error
    return {name: value for name, value in given.items() if _print_of(value) != seen.get(name)}


def _print_of(value: object) -> str:
    """A browser may give a text back with other line ends, or from a field that has none."""
    if isinstance(value, str):
        value = value.replace("\r", "").replace("\n", "").strip()
    return sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]
