"""Requests for many things at once under an ``Idempotency-Key``: a repeat is about the same things.

A command about one thing is known by that thing's stream. A command about many is known by its own stream as
well: differences in a body may not show in any of theirs, and a filter finds other things each time.
"""

from domain.event import Event, stored_as
from domain.values import StreamName


def request_stream(tenant: str, request_id: str) -> str:
    """Return the name of the stream of one request."""
    return str(StreamName(tenant, "request", request_id))


@stored_as("request.accepted")
class RequestAccepted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The request is about these things, out of a total."""

    request_id: str
    things: tuple[str, ...]
    total: int


def evolve(state: RequestAccepted | None, event: Event) -> RequestAccepted:
    """Return the request after ``event``. There is only one event."""
    if isinstance(event, RequestAccepted):
        return event
    raise TypeError(f"{event!r} is of no request")
