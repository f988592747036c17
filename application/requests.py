"""Requests for many things at once. They are noted before anything is done, so that a repeat is recognized
and continued."""

from collections.abc import Mapping

from application.command import Command
from application.deciders import Committed
from application.dispatcher import Handler
from application.event_store import EventStore
from application.ports import Clock
from domain import request
from domain.request import RequestAccepted, request_stream


class AcceptRequest(Command, frozen=True, kw_only=True):
    """Accept a request about what was found, out of ``total``."""

    request_id: str
    things: tuple[str, ...]
    total: int


class RequestHandlers:
    """The handler of the command about requests."""

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Return the handler of each command."""
        return {AcceptRequest: self.accept}

    async def accept(self, command: AcceptRequest) -> Committed:
        """Note what a request is about. Of a repeat, return what it was about the first time.

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
