"""The tree of causes and effects, split into pages of 200 events."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

from interfaces.console.api import Api, Document, Refused
from interfaces.console.filters import Links

_PAGE = 200
_MOST_DIGITS = 5


async def tree(api: Api, query: Mapping[str, str]) -> Mapping[str, Any]:
    """Return a page of the tree of the ``correlationId`` in the address, beginning with the event that
    ``from`` numbers in the tree's order. The events above those of the page are included.

    Raises:
        Refused: there are no such events, or the ID cannot be part of a path.
    """
    correlation_id = query.get("correlationId", "")
    if correlation_id in ("", ".", ".."):
        raise Refused(404, "CORRELATION_NOT_FOUND", "Your tenant has no event with this correlation ID.")
    found = await api.get(f"/audit/correlations/{quote(correlation_id, safe='')}")
    first = _number_of(query.get("from", "1"), found["shown"])
    last = min(first + _PAGE - 1, found["shown"])

    def at(number: int) -> str:
        return urlencode({"correlationId": correlation_id, **({"from": number} if number > 1 else {})})

    return {
        "tree": found,
        "roots": _part(found["roots"], range(first, last + 1), count(1)),
        "first": first,
        "last": last,
        "pages": Links(
            first=at(1) if first > 1 else None,
            back=at(max(1, first - _PAGE)) if first > 1 else None,
            on=at(last + 1) if last < found["shown"] else None,
        ),
    }


def _part(
    branches: Sequence[Mapping[str, Any]], wanted: range, numbers: Iterator[int]
) -> Sequence[Mapping[str, Any]]:
    """Return the branches whose numbers are wanted, and those above them. ``numbers`` counts from the top."""
    kept = []
    for each in branches:
        number = next(numbers)
        below = _part(each["children"] or (), wanted, numbers)
        if number in wanted or below:
            kept.append(Document(each, children=below, is_above=number not in wanted))
    return kept


def _number_of(text: str, shown: int) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS or not 1 <= int(text) <= shown:
        raise Refused(404, "NOT_FOUND", f"from: must be from 1 to {shown}")
    return int(text)
