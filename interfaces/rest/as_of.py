"""Things as they once were: the fold of the first events of their stream."""

from datetime import datetime
from itertools import takewhile

from anyio.to_thread import run_sync
from starlette.requests import Request

from application.event_store import EventStore
from domain.event import Recorded
from interfaces.rest.models import AsOfQuery
from interfaces.rest.requests import read_query
from projections.projection import Projection, ProjectionGap, document_of

AsOf = datetime | int
"""A moment, or a version."""

_FEW_EVENTS = 200
"""Folded here; more would keep everybody waiting, and are a thread's."""


def asked_as_of(request: Request) -> AsOf | None:
    """When a request asks a thing to be shown as of; ``None`` for now.

    Raises:
        BadInput: it asks for something else.
    """
    return read_query(request, AsOfQuery).as_of if request.query_params else None


async def events_until(store: EventStore, stream: str, as_of: AsOf) -> tuple[Recorded, ...]:
    """A stream's events up to a version, or up to the first that came after a moment.

    What an instance whose clock is behind appended after that one came after it too.
    """
    events = await store.load(stream)
    if isinstance(as_of, int):
        return events[:as_of]
    return tuple(takewhile(lambda recorded: recorded.timestamp <= as_of, events))


async def document_as_of(
    store: EventStore, projection: Projection, id: str, as_of: AsOf, *, stream: str, missing: Exception
) -> tuple[bytes, int]:
    """A document as it was then, and the version of its stream.

    Raises:
        Exception: ``missing``, where there was no such thing.
    """
    events = await events_until(store, stream, as_of)
    try:
        if len(events) <= _FEW_EVENTS:
            return document_of(projection, id, events), len(events)
        return await run_sync(document_of, projection, id, events), len(events)
    except ProjectionGap:
        raise missing from None
