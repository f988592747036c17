"""Requests for many things at once: noted before anything is done, so that a repeat is known and goes on."""

from collections.abc import Mapping

from application.command import Command
from application.deciders import Committed
from application.dispatcher import Handler
from application.event_store import EventStore
from application.ports import Clock
from domain import request
from domain.request import RequestAccepted, request_stream


class AcceptRequest(Command, frozen=True, kw_only=True):
    """Take a request for what was found, out of ``total``."""

    request_id: str
    things: tuple[str, ...]
    total: int


class RequestHandlers:
    """The one thing that can be asked of requests."""

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Which method handles which command."""
        return {AcceptRequest: self.accept}

    async def accept(self, command: AcceptRequest) -> Committed:
        """Note what a request is about; of a repeat, what it was about the first time.

        Raises:
            IdempotencyKeyReused: something else was asked before.
        """
        accepted = RequestAccepted(request_id=command.request_id, things=command.things, total=command.total)
        return await self._store.execute(
            request_stream(command.meta.tenant, command.request_id),
            evolve=request.evolve,
            decide=lambda _: (accepted,),
            meta=command.meta,
            now=self._clock.now(),
        )
