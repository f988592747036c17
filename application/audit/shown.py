"""Compares the readable form of an event in an export with its stored bytes.

The readable form is not part of the chain. If this release has made it, all of its members can be proved. In
the form of another release, the members that are the same in both forms are proved; the others are named as
not proved.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from application.audit.export_lines import Line
from application.event_log import is_position, number_of, position_of
from application.log_copy import Entry

_OF_THE_RELEASE = {"schemaVersion", "data"}


class Reread(msgspec.Struct, frozen=True):
    """The readable form of a stored event in this release, without ``data`` if the event's type is not known.

    ``stored_at`` is the schema version with which it was stored, and ``erased`` the number of sealed values
    that the given keys do not decrypt.
    """

    told: Mapping[str, Any]
    stored_at: int
    erased: int = 0


Rereads = Callable[[Entry, Sequence[bytes | None]], Reread | None]
"""Reads a stored event with the keys of its sealed values. Returns None if it cannot be read."""


class Compared(msgspec.Struct, frozen=True):
    """Whether the readable form differs from the stored bytes, and which of its members are not proved."""

    differs: bool = False
    unproven: tuple[str, ...] = ()


def compared(shown: bytes, reread: Reread | None) -> Compared:
    """Compare the readable form of an event with that of its stored bytes."""
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
    """Return the place of an event in the log, or None if the line's position is not one of this event."""
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
    """Return whether a schema version is possible: no release shows an older one than was stored."""
    return isinstance(shown, int) and not isinstance(shown, bool) and shown >= stored_at


def _same(one: object, other: object) -> bool:
    """Return whether two values are the same in JSON: 1 is neither 1.0 nor true."""
    return _bytes(one) == _bytes(other)


def _bytes(value: object) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
