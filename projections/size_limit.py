"""Limits the size of documents. A store for documents accepts only so many bytes of one.

The largest parts of a document that is too large are left out, and their sizes stand in their place. The log
has everything, and so have the answers that are made from the log. A document that its store refused would
hold up every later one.
"""

import json
from collections.abc import Iterator

import msgspec

from projections.ports import Json

MOST_BYTES = 1_900_000
"""Cosmos DB accepts 2 MB, including its own properties (Azure Cosmos DB service quotas: per-item limits)."""

MAY_BE_LARGE = ("input", "output", "result", "results", "metadata", "error")
"""What comes from outside, and may have any size."""

_WORST_ESCAPE = 3
"""A character of two bytes in UTF-8 takes six if JSON is written in ASCII, as Cosmos DB's SDK does."""

_KEPT_CHARACTERS = 1000
_OMITTED = "omittedBytes"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict).decode


def encoded_within_limit(body: Json) -> bytes:
    """Return the document as JSON, without its largest parts if it has more than :data:`MOST_BYTES`."""
    encoded = _encode(body)
    if len(encoded) * _WORST_ESCAPE <= MOST_BYTES:
        return encoded
    size = _size(body)
    if size <= MOST_BYTES:
        return encoded
    shortened = _decode(encoded)
    for bytes_of, holder, name in sorted(_large_parts(shortened), key=lambda part: part[0], reverse=True):
        holder[name] = _in_place_of(holder[name], bytes_of)
        size -= bytes_of
        if size <= MOST_BYTES:
            break
    return _encode(shortened)


def lacks_parts(encoded: bytes) -> bool:
    """Return whether something was left out of a document."""
    return f'{{"{_OMITTED}":'.encode() in encoded


def without_large_parts(body: Json) -> Json:
    """Return a document without anything that may be left out."""
    kept = {name: value for name, value in body.items() if name not in MAY_BE_LARGE}
    if isinstance(kept.get("steps"), list):
        kept["steps"] = [without_large_parts(step) for step in kept["steps"]]
    return kept


def _large_parts(body: Json) -> Iterator[tuple[int, Json, str]]:
    """Yield the size of each part that may be left out, and where it stands."""
    for holder in (body, *body.get("steps", ())):
        for name in MAY_BE_LARGE:
            if name in holder:
                yield _size(holder[name]), holder, name


def _in_place_of(value: object, size: int) -> object:
    return f"{value[:_KEPT_CHARACTERS]}…" if isinstance(value, str) else {_OMITTED: size}


def _size(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":")))
