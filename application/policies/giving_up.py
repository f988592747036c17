"""A way out for events that a policy cannot handle. Such an event must not hold up all that follow.

A refusal is an answer, and failures outside the service pass. Any other error would occur again each time
that the event's batch comes again.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from application.side_by_side import raise_first
from domain.errors import Failure
from domain.event import Recorded
from domain.lease import Lease

TRIES = 7
"""With a follower's pauses between them this takes some ten seconds. What passes by itself has passed by
then."""

Act = Callable[[Recorded], Awaitable[None]]

log = structlog.get_logger(__name__)


class GivingUp:
    """Lets a policy handle events, and counts how often it could not."""

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self._broken: dict[str, int] = {}

    async def act(self, recorded: Recorded, act: Act, instead: Act) -> None:
        """Handle an event. After it has failed :data:`TRIES` times, do ``instead`` once.

        Raises:
            Exception: the event must come again.
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
        """Handle events one after the other. One that fails does not hold up the others.

        Raises:
            LeaseLost: the rest is for another instance.
            Exception: some must come again.
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
