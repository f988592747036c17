"""JSON from outside: strictly JSON, and not nested deeper than any honest document."""

import json
from typing import Any

import msgspec

MOST_DEPTH = 64
"""Lists and objects within each other: what reads them later goes down level by level."""

_MARK = b"\xef\xbb\xbf"
"""Which some write before a text in UTF-8. RFC 8259 forbids to write it and lets readers ignore it."""


class InvalidJson(ValueError):
    """The bytes are not JSON that we take; the message says why."""


class TooDeep(InvalidJson):
    """It is JSON, perhaps, of more than :data:`MOST_DEPTH` levels."""

    def __init__(self) -> None:
        super().__init__(f"nested deeper than {MOST_DEPTH} levels")


def read_json(raw: bytes) -> Any:
    """What ``raw`` holds.

    Raises:
        InvalidJson: not UTF-8, not JSON, or a number beyond a double.
        TooDeep: it is nested deeper than MOST_DEPTH.
    """
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
    """The same, and what JavaScript writes of a text that was cut within a character beyond 16 bits.

    It ends in half of that character, as ``\\ud83d``. Each such half is replaced.

    Raises:
        InvalidJson: as :func:`read_json`.
    """
    try:
        return read_json(raw)
    except TooDeep:
        raise
    except InvalidJson:
        if b"\\ud" not in raw.lower():
            raise
        return read_json(_without_halves(raw))


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
