"""Ids, stream names and times that several aggregates use."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from domain.namespace import Namespace

SYSTEM_TENANT = "00000000-0000-0000-0000-000000000001"
"""The tenant of what belongs to the platform itself: the batch jobs (wire contract, section 1)."""

_IDS = Namespace("urn:workflow-orchestrator:id")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEX = "[0-9a-fA-F]"
_CANONICAL_UUID = re.compile("-".join(f"{_HEX}{{{digits}}}" for digits in (8, 4, 4, 4, 12)))

_AS_THEY_ARE = frozenset({str, int, bool, type(None)})

_WITHOUT_PARTS = _AS_THEY_ARE | {float}

LONGEST_ID = 255
"""The most characters of an id that another service has given."""

MAX_NUMBER = 10**15
"""The largest money amount or score. The messages have the same limit."""


class StreamName(NamedTuple):
    """The three parts of a stream's name, ``<tenant>/<category>/<id>``."""

    tenant: str
    category: str
    id: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.category}/{self.id}"

    @classmethod
    def parse(cls, stream: str) -> "StreamName":
        """Split a stream's name. The id may itself contain slashes."""
        tenant, category, ident = stream.split("/", 2)
        return cls(tenant, category, ident)


def category_of(stream: str) -> str:
    """Return what kind of thing a stream is about: the middle part of its name."""
    return stream.split("/", 2)[1]


class StepRef(msgspec.Struct, frozen=True, kw_only=True):
    """The dispatch of a step that something is done for, and that its outcome answers."""

    workflow_id: str
    step_id: str
    attempt: int


def is_id(value: object) -> bool:
    """Return whether it can be an id of another service: a text, not too long, without control characters."""
    return isinstance(value, str) and 1 <= len(value) <= LONGEST_ID and not _CONTROL.search(value)


NOT_PERSONS = ("gateway:", "system:", "service:")
"""The prefixes of actors that are no persons."""


def is_person(actor: str | None) -> bool:
    """Return whether an actor is a person, and not a part of the platform."""
    return bool(actor) and not str(actor).startswith(NOT_PERSONS)


def is_amount(value: object) -> bool:
    """Return whether it can be an amount or a score."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return -MAX_NUMBER <= value <= MAX_NUMBER


def derived_id(*parts: str) -> str:
    """Return a UUIDv5 of ``parts``. The same parts give the same id, so that a repeated message is
    harmless."""
    return _IDS.id("\x1f".join(parts))


def is_uuid(text: object) -> bool:
    """Return whether ``text`` is a UUID in its canonical form, in either case, as the wire contract requires
    ids.

    This does not use ``uuid.UUID``, which also accepts ``urn:`` before the digits, and hyphens anywhere.
    """
    return isinstance(text, str) and _CANONICAL_UUID.fullmatch(text) is not None


def canonical_id(text: str) -> str:
    """Return an id as it is stored: a UUID, which is accepted in either case, in lower case; any other as it
    is."""
    return text.lower() if is_uuid(text) else text


def id_of(value: Any) -> Any:
    """Return an id, which may be a whole number where it comes from, as its digits, whether 7 or 7.0 is
    written. Anything else stays as it is."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def with_one_kind_of_number(value: Any) -> Any:
    """Return a value for digests and keys of JSON, which has only one kind of number: ``1.0`` becomes the
    integer 1."""
    if type(value) in _AS_THEY_ARE:
        return value
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case Mapping():
            return {name: with_one_kind_of_number(each) for name, each in value.items()}
        case list() | tuple():
            return [with_one_kind_of_number(each) for each in value]
    return value


def canonical(value: Any) -> bytes:
    """Return one form for all texts of the same JSON: names in order, no white space, ``1.0`` as ``1``."""
    plain = with_one_kind_of_number(value)
    written = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return written.encode("utf-8", "surrogatepass")


def is_same_json(one: Any, other: Any) -> bool:
    """Return whether two values are the same JSON: ``1`` and ``1.0`` are, ``1`` and ``true`` are so only in
    Python."""
    return bool(one == other) and _are_truths_alike(one, other)


def _are_truths_alike(one: Any, other: Any) -> bool:
    """Return whether two values that are equal in Python have ``true`` and ``false`` in the same places."""
    sort = type(one)
    if sort is bool or type(other) is bool:
        return sort is type(other)
    if isinstance(one, list | tuple):
        return all(map(_are_truths_alike, one, other))
    if sort not in _WITHOUT_PARTS and isinstance(one, Mapping):
        return all(_are_truths_alike(each, other[name]) for name, each in one.items())
    return True


def in_utc(moment: datetime) -> datetime:
    """Return a time in UTC; beyond UTC's calendar, its first or last time."""
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return (datetime.min if moment.year == 1 else datetime.max).replace(tzinfo=UTC)


@lru_cache(maxsize=4_096)
def timestamp(moment: datetime) -> str:
    """Return a time in the platform's form: UTC with milliseconds and ``Z``. One event's time is formatted
    many times."""
    return in_utc(moment).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def timestamp_from(moment: datetime) -> str:
    """Return the first time in the platform's form that is not before a given one: times in milliseconds are
    at or after the given time if they are at or after this one. Beyond the calendar, its last time."""
    rest = -moment.microsecond % 1000
    try:
        return timestamp(moment + timedelta(microseconds=rest))
    except OverflowError:
        return timestamp(moment)
