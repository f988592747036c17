"""The audit trail of a tenant and its hash chain, read from the API."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from interfaces.console.api import Api
from interfaces.console.filters import filters_of, place_of, shown_of

FILTERS = ("type", "aggregateId", "actor", "correlationId", "after", "before")
_NEWEST_FIRST = {"order": "desc"}
_PAGE = 50
_STRETCHES = 4
_FOUND = 100
_NOT_MANY_AGO = (("hour", timedelta(hours=1)), ("day", timedelta(days=1)), ("week", timedelta(days=7)))


async def trail(api: Api, query: Mapping[str, str], now: datetime) -> Mapping[str, Any]:
    """Return a page of the events that match the filters, newest or oldest first, and the head of the
    chain."""
    filters, order = filters_of(query, FILTERS), filters_of(query, ("order",))
    place = place_of(query, {**filters, **order})
    asked = {**_NEWEST_FIRST, **order, **filters, **place.asked}
    page = await api.get("/audit/events", limit=_PAGE, **asked)
    return {
        "events": page["events"],
        "total": page["total"],
        "head": await api.get("/audit/head"),
        "shown": shown_of(filters),
        "is_newest_first": asked["order"] != "asc",
        "address": urlencode(filters),
        "pages": place.links(page["nextCursor"]),
        "recent": {
            name: urlencode({**filters, **order, "after": f"{now - ago:%Y-%m-%dT%H:%M:%SZ}"})
            for name, ago in _NOT_MANY_AGO
        },
    }


async def chain(api: Api, cursor: str) -> Mapping[str, Any]:
    """Return the head of the chain, and the verification of its first sections, or of those after a
    cursor."""
    first, found, total = None, [], 0
    for _ in range(_STRETCHES):
        part = await api.get("/audit/verification", **({"cursor": cursor} if cursor else {}))
        first = part["first"] if first is None else first
        found += part["found"]
        total += part["total"]
        cursor = part["nextCursor"] or ""
        if not cursor:
            break
    return {
        "head": await api.get("/audit/head"),
        "first": first,
        "last": part["last"],
        "found": found[:_FOUND],
        "total": total,
        "following": urlencode({"cursor": cursor}) if cursor else None,
    }


def export(api: Api, query: Mapping[str, str]) -> Response:
    """Return the API's export of the events that match the filters, as a stream."""
    return api.passed("/audit/export", urlencode(filters_of(query, FILTERS)))
