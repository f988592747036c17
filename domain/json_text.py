"""Reads JSON from outside: strictly JSON, and not nested deeper than any reasonable document.

A name that occurs twice in an object is refused. Readers disagree on which value was meant: a checker that
uses the first value would pass what another reader takes from the last.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

MOST_DEPTH = 64
"""The most levels of lists and objects within each other, because later readers descend level by level."""

MOST_REPEATED = 100
"""How many places are reported at which a name occurs twice."""

_MOST_TOLD = 3

Place = tuple[str | int, ...]
"""Names and positions, from the outermost on."""

_MARK = b"\xef\xbb\xbf"
"""Some writers put this before a text in UTF-8. RFC 8259 forbids writing it, and lets readers ignore it."""


class InvalidJson(ValueError):
    """The bytes are not JSON that the service accepts. The message says why."""


class TooDeep(InvalidJson):
    """It may be JSON, but has more than :data:`MOST_DEPTH` levels."""

    def __init__(self) -> None:
        super().__init__(f"nested deeper than {MOST_DEPTH} levels")


class RepeatedNames(InvalidJson):
    """It is JSON in which names occur twice. ``places`` are theirs, or the first of very many."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = places
        told = ", ".join(".".join(map(str, place)) for place in places[:_MOST_TOLD])
        super().__init__(f"a name is given more than once: {told}")


def read_json(raw: bytes) -> Any:
    """Return the value that ``raw`` holds.

    Raises:
        InvalidJson: not UTF-8, not JSON, or a number beyond a double.
        TooDeep: it is nested deeper than MOST_DEPTH.
        RepeatedNames: an object has a name twice.
    """
    value = _read(raw)
    text = raw.removeprefix(_MARK).decode()
    try:
        _COMPARING.decode(text)
    except _Repeated:
        places = islice(_repeated_in(_KEEPING.decode(text)), MOST_REPEATED)
        raise RepeatedNames(list(places)) from None
    return value


def _read(raw: bytes) -> Any:
    raw = raw.removeprefix(_MARK)
    if not raw or raw.isspace():
        raise InvalidJson("not JSON: the body is empty")
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidJson(f"not JSON: {error}") from error
    except RecursionError:
        raise TooDeep from None
    if raw.count(b"{") + raw.count(b"[") > MOST_DEPTH and _is_too_deep(value):
        raise TooDeep
    return value


def read_json_of_neighbours(raw: bytes) -> Any:
    """Return the same, and also read what JavaScript writes for a text that was cut within a character beyond
    16 bits.

    Such a text ends in half of that character, as ``\\ud83d``. Each such half is replaced. If a name occurs
    twice its last value is used, as most readers do.

    Raises:
        InvalidJson: as :func:`read_json`.
    """
    try:
        return _read(raw)
    except TooDeep:
        raise
    except InvalidJson:
        if b"\\ud" not in raw.lower():
            raise
        return _read(_without_halves(raw))


def _without_halves(raw: bytes) -> bytes:
    try:
        text = json.dumps(json.loads(raw), ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise InvalidJson(f"not JSON: {error}") from None
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


class _Repeated(Exception):
    """A name occurs twice somewhere."""


def _compare(members: list[tuple[str, Any]]) -> None:
    """Keep nothing, because the text is decoded already."""
    if len({name for name, _ in members}) < len(members):
        raise _Repeated


class _Members(list[tuple[str, Any]]):
    """An object with all its members, including repeated ones."""


_COMPARING = json.JSONDecoder(object_pairs_hook=_compare)
_KEEPING = json.JSONDecoder(object_pairs_hook=_Members)


def _repeated_in(value: Any) -> Iterator[Place]:
    pending: list[tuple[Place, Any]] = [((), value)]
    while pending:
        place, each = pending.pop()
        inner: list[tuple[Place, Any]] = []
        if isinstance(each, _Members):
            times = Counter(name for name, _ in each)
            yield from ((*place, name) for name, count in times.items() if count > 1)
            inner = [((*place, name), child) for name, child in each]
        elif isinstance(each, list):
            inner = [((*place, index), child) for index, child in enumerate(each)]
        pending.extend(reversed(inner))
