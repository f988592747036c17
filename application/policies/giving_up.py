"""A way out for events that a policy cannot act on: one of them must not keep all that follows waiting.

A refusal is an answer and a failure of the world passes; what breaks for any other reason would break again
each time that its batch comes again.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from application.side_by_side import raise_first
from domain.errors import Failure
from domain.event import Recorded
from domain.lease import Lease

TRIES = 7
"""With a follower's waits between them some ten seconds: what passes by itself has passed by then."""

Act = Callable[[Recorded], Awaitable[None]]

log = structlog.get_logger(__name__)


class GivingUp:
    """Lets a policy act on events, and counts how often it could not."""

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self._broken: dict[str, int] = {}

    async def act(self, recorded: Recorded, act: Act, instead: Act) -> None:
        """Act on an event; after :data:`TRIES` times that this broke, do ``instead`` once.

        Raises:
            Exception: the event is to come again.
        """
        try:
            await act(recorded)
        except Failure:
            raise
        except Exception:
            tries = self._broken.pop(recorded.event_id, 0) + 1
            if tries < TRIES:
                self._broken[recorded.event_id] = tries
                raise
            log.exception(
                "event_given_up", policy=self._policy, stream=recorded.stream, version=recorded.version
            )
            await self._do_instead(recorded, instead)
        else:
            if self._broken:
                self._broken.pop(recorded.event_id, None)

    async def act_on_each(self, events: Sequence[Recorded], act: Act, instead: Act, lease: Lease) -> None:
        """Act on events one after the other; what fails does not keep the rest back.

        Raises:
            LeaseLost: the rest is for another instance.
            Exception: some are to come again.
        """
        failures: list[Exception] = []
        for recorded in events:
            lease.check()
            try:
                await self.act(recorded, act, instead)
            except Exception as error:
                failures.append(error)
        raise_first(failures)

    async def _do_instead(self, recorded: Recorded, instead: Act) -> None:
        try:
            await instead(recorded)
        except Failure:
            self._broken[recorded.event_id] = TRIES - 1
            raise
        except Exception:
            log.exception("event_left_undone", policy=self._policy, stream=recorded.stream)
