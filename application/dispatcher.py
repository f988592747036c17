"""From a command to its handler. REST, messages, cron and timers all use it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from application.command import Command
from application.deciders import Committed

Handler = Callable[[Any], Awaitable[Committed]]


class Dispatcher:
    """Passes each command to the one handler that is registered for its type."""

    def __init__(self, *handlers: Mapping[type[Command], Handler]) -> None:
        self._handlers: dict[type[Command], Handler] = {}
        for mapping in handlers:
            self._handlers.update(mapping)

    async def __call__(self, command: Command) -> Committed:
        """Carry out a command.

        Raises:
            Refusal: a business rule forbids it.
            StoreUnavailable: nothing is known to have been done; the command may be repeated.
        """
        return await self._handlers[type(command)](command)
