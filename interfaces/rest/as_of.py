"""Documents as of a moment or a version: the fold of the first events of their stream."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from itertools import takewhile

from starlette.requests import Request

from application.event_store import EventStore
from application.pasts import Events
from interfaces.rest.folded import folded
from interfaces.rest.models import AsOfQuery
from interfaces.rest.requests import read_query
from projections.projection import Projection, ProjectionGap

AsOf = datetime | int
"""A moment, or a version."""


def asked_as_of(request: Request) -> AsOf | None:
    """Return the ``asOf`` of a request, or None for now.

    Raises:
        ApiError: 400, the query string has something else.
    """
    return read_query(request, AsOfQuery).as_of if request.scope["query_string"] else None


async def parts_until(store: EventStore, stream: str, as_of: AsOf) -> AsyncGenerator[Events, None]:
    """Yield a stream's events in parts, up to a version, or up to the first event that is later than a
    moment.

    Any event after that one is later too, even if its instance's clock was behind.
    """
    if isinstance(as_of, int):
        async with aclosing(store.parts_of(stream, as_of)) as parts:
            async for part in parts:
                yield part
        return
    async with aclosing(store.parts_of(stream)) as parts:
        async for part in parts:
            before = tuple(takewhile(lambda recorded: recorded.timestamp <= as_of, part))
            yield before
            if len(before) < len(part):
                break


async def document_as_of(
    store: EventStore, projection: Projection, id: str, as_of: AsOf, *, stream: str, missing: Exception
) -> tuple[bytes, int]:
    """Return a document as it was then, and the version of its stream.

    Raises:
        Exception: ``missing``, if it did not exist then.
    """
    try:
        made = await folded(projection, id, parts_until(store, stream, as_of))
    except ProjectionGap:
        raise missing from None
    return made.body, made.reached
