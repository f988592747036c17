"""Things as they once were: the fold of the first events of their stream."""

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
    """When a request asks a thing to be shown as of; ``None`` for now.

    Raises:
        BadInput: it asks for something else.
    """
    return read_query(request, AsOfQuery).as_of if request.scope["query_string"] else None


async def parts_until(store: EventStore, stream: str, as_of: AsOf) -> AsyncGenerator[Events, None]:
    """A stream's events up to a version, or up to the first that came after a moment, in parts.

    What an instance whose clock is behind appended after that one came after it too.
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
    """A document as it was then, and the version of its stream.

    Raises:
        Exception: ``missing``, where there was no such thing.
    """
    try:
        made = await folded(projection, id, parts_until(store, stream, as_of))
    except ProjectionGap:
        raise missing from None
    return made.body, made.reached
