"""JSON from outside: strictly JSON, and not nested deeper than any honest document."""

import json
from typing import Any

import msgspec

MAX_DEPTH = 64

_MARK = b"\xef\xbb\xbf"
"""Which some write before a text in UTF-8. RFC 8259 forbids to write it and lets readers ignore it."""


class InvalidJson(ValueError):
    """The bytes are not JSON that we take; the message says why."""


def read_json(raw: bytes) -> Any:
    """What ``raw`` holds.

    Raises:
        InvalidJson: not UTF-8, not JSON, a number beyond a double, or nested deeper than MAX_DEPTH.
    """
    raw = raw.removeprefix(_MARK)
    if not raw or raw.isspace():
        raise InvalidJson("not JSON: the body is empty")
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidJson(f"not JSON: {error}") from error
    except RecursionError:
        raise InvalidJson(f"nested deeper than {MAX_DEPTH} levels") from None
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _depth_exceeds(value, MAX_DEPTH):
        raise InvalidJson(f"nested deeper than {MAX_DEPTH} levels")
    return value


def read_json_of_neighbours(raw: bytes) -> Any:
    """The same, and what JavaScript writes of a text that was cut within a character beyond 16 bits.

    It ends in half of that character, as ``\\ud83d``. Each such half is replaced.

    Raises:
        InvalidJson: as :func:`read_json`.
    """
    try:
        return read_json(raw)
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


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)
