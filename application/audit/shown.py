"""What an export shows of an event, held against the bytes that are stored of it.

It is no part of the chain. What can be read again by this release is proved to the last member. In the form
of another release a member is proved where both forms have it alike; the others are named as not proved.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from application.audit.export_lines import Line
from application.event_log import is_position, number_of, position_of
from application.log_copy import Entry

_OF_THE_RELEASE = {"schemaVersion", "data"}


class Reread(msgspec.Struct, frozen=True):
    """How this release reads a stored event; without ``data`` where it does not know what that is.

    ``stored_at`` is the schema version that it was stored at, ``erased`` how many of its sealed values do not
    open with the keys that were given.
    """

    told: Mapping[str, Any]
    stored_at: int
    erased: int = 0


Rereads = Callable[[Entry, Sequence[bytes | None]], Reread | None]
"""Reads a stored event with the keys of its sealed values; none where it is no event that can be read."""


class Compared(msgspec.Struct, frozen=True):
    """Whether what is shown is not what is stored, and which members of it are proved by nothing."""

    differs: bool = False
    unproven: tuple[str, ...] = ()


def compared(shown: bytes, reread: Reread | None) -> Compared:
    """What is shown of an event against how it reads."""
    if reread is None:
        return Compared(unproven=("event",))
    told = msgspec.json.encode(reread.told)
    if shown == told:
        return Compared()
    expected = msgspec.json.decode(told)
    try:
        members = msgspec.json.decode(shown)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # no JSON, or no UTF-8
        members = None
    if not isinstance(members, dict) or not _is_version(members.get("schemaVersion"), reread.stored_at):
        return Compared(differs=True)
    if _same(members["schemaVersion"], expected["schemaVersion"]) and "data" in expected:
        return Compared(differs=not _same(members, expected))
    return _of_another_release(members, expected)


def place_of(line: Line) -> int | None:
    """The place in the log that an event is shown at; none where what is shown is no position of it."""
    if not isinstance(line.position, str) or not is_position(line.position):
        return None
    number = number_of(line.position)
    return number if line.position == position_of(number, line.stream, line.version) else None


def _of_another_release(members: dict[str, Any], expected: dict[str, Any]) -> Compared:
    for name in expected.keys() - _OF_THE_RELEASE:
        if name not in members or not _same(members[name], expected[name]):
            return Compared(differs=True)
    unproven = ["schemaVersion", *(members.keys() - expected.keys() - _OF_THE_RELEASE)]
    data, known = members.get("data"), expected.get("data")
    if isinstance(data, dict) and isinstance(known, dict):
        both = {name for name in data.keys() & known.keys() if _same(data[name], known[name])}
        unproven += [f"data.{name}" for name in (data.keys() | known.keys()) - both]
    else:
        unproven.append("data")
    return Compared(unproven=tuple(sorted(unproven)))


def _is_version(shown: object, stored_at: int) -> bool:
    """No release shows an event at an older version than it is stored at."""
    return isinstance(shown, int) and not isinstance(shown, bool) and shown >= stored_at


def _same(one: object, other: object) -> bool:
    """In JSON, where 1 is neither 1.0 nor true."""
    return _bytes(one) == _bytes(other)


def _bytes(value: object) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
