"""What was asked for many things at once under an ``Idempotency-Key``: a repeat is about the same ones.

A command to one thing is known by that thing's stream. One to many is known by a stream of its own as well:
what differs in a body may not show in any of theirs, and what a filter finds is another thing each time.
"""

from domain.event import Event, stored_as
from domain.values import StreamName


def request_stream(tenant: str, request_id: str) -> str:
    """The name of the stream of one request."""
    return str(StreamName(tenant, "request", request_id))


@stored_as("request.accepted")
class RequestAccepted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """It is about these things, out of so many that there were."""

    request_id: str
    things: tuple[str, ...]
    total: int


def evolve(state: RequestAccepted | None, event: Event) -> RequestAccepted:
    """The request after ``event``, of which there is but one."""
    if isinstance(event, RequestAccepted):
        return event
    raise TypeError(f"{event!r} is of no request")
