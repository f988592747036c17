"""The trail of a tenant: what happened, what led to what, and what proves it, out of the API's answers."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import Response

from interfaces.console.api import Api, Document, Refused

_FILTERS = ("type", "aggregateId", "actor", "correlationId", "after", "before")
_PAGE = 50
_STRETCHES = 4
_FOUND = 100
_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)
_NOT_MANY_AGO = (("hour", timedelta(hours=1)), ("day", timedelta(days=1)), ("week", timedelta(days=7)))


async def trail(api: Api, query: Mapping[str, str]) -> Mapping[str, Any]:
    """A page of the events that filters leave, in the log's order, and where the chain ends."""
    filters = filters_of(query)
    cursor = {"cursor": query["cursor"]} if query.get("cursor") else {}
    page = await api.get("/audit/events", limit=_PAGE, **filters, **cursor)
    following, now = page["nextCursor"], datetime.now(UTC)
    return {
        "events": page["events"],
        "total": page["total"],
        "head": await api.get("/audit/head"),
        "filters": Document(filters),
        "shown": Document({name: as_local(value) for name, value in filters.items()}),
        "is_first": not cursor,
        "address": urlencode(filters),
        "following": urlencode({**filters, "cursor": following}) if following else None,
        "recent": {
            name: urlencode({**filters, "after": f"{now - ago:%Y-%m-%dT%H:%M:%SZ}"})
            for name, ago in _NOT_MANY_AGO
        },
    }


async def chain(api: Api, cursor: str) -> Mapping[str, Any]:
    """Where the chain ends, and whether some stretches of it hold: the first, or those after a cursor."""
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


async def tree(api: Api, correlation_id: str) -> Mapping[str, Any]:
    """What led to what under a correlation id.

    Raises:
        Refused: there is none, or it cannot go into a path.
    """
    if correlation_id in ("", ".", ".."):
        raise Refused(404, "CORRELATION_NOT_FOUND", "the tenant has no event under that correlation id")
    return {"tree": await api.get(f"/audit/correlations/{quote(correlation_id, safe='')}")}


def export(api: Api, query: Mapping[str, str]) -> Response:
    """The events that filters leave, with what proves them, as the API streams them."""
    return api.passed("/audit/export", urlencode(filters_of(query)))


def filters_of(query: Mapping[str, str]) -> dict[str, str]:
    """What the address asks for, as the API takes it: a moment without a zone is one in UTC."""
    given = {name: query.get(name, "").strip() for name in _FILTERS}
    return {name: as_instant(value) for name, value in given.items() if value}


def as_instant(value: str) -> str:
    """What a field for a moment gives; anything else stays as it is, for the API to judge."""
    if not (local := _LOCAL.fullmatch(value)):
        return value
    return f"{value}{'' if local[1] else ':00'}Z"


def as_local(value: str) -> str:
    """A moment in UTC as a field for one takes it; anything else stays as it is."""
    local = value.removesuffix("Z")
    return local if _LOCAL.fullmatch(local) else value
