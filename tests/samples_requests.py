"""One example of every stored event of requests for many things, with every field filled."""

from domain.event import Event
from domain.request import RequestAccepted

REQUEST_EVENTS: tuple[Event, ...] = (RequestAccepted(request_id="r-1", things=("w-1", "w-2"), total=3),)
