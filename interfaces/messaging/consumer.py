"""What becomes of a delivered message, whatever transport it came by.

Handled and ignored messages may be acknowledged: their events are stored, or there is nothing to
store. What can never be handled is parked with the reason. A store that is away is waited for: the
message stays unacknowledged until its events are stored.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Literal

import anyio
import structlog
from tenacity import AsyncRetrying, RetryCallState, wait_exponential_jitter

from application.commands import Command
from application.dispatcher import Dispatcher
from application.event_store import Committed
from domain.errors import Failure, Refusal
from interfaces.messaging.envelope import Delivery, Envelope, Unreadable, read_envelope
from interfaces.messaging.messages import CONSUMED, command_for

Outcome = Literal["handled", "without_effect", "ignored", "parked"]

Park = Callable[[Delivery, str], Awaitable[None]]

FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 30.0
TRIES_OF_AN_UNEXPECTED_ERROR = 5

log = structlog.get_logger(__name__)


class MessageConsumer:
    """Turns deliveries into commands and says what became of each.

    ``opportunity_shard_types`` are the shards whose change starts an analysis; ``documented_type``
    turns an alias on the wire into the documented type; ``count`` is told each delivery's type and
    outcome.
    """

    def __init__(
        self,
        dispatch: Dispatcher,
        *,
        opportunity_shard_types: Collection[str],
        documented_type: Mapping[str, str],
        count: Callable[[str, Outcome], None],
    ) -> None:
        self._dispatch = dispatch
        self._opportunity_shard_types = opportunity_shard_types
        self._documented_type = documented_type
        self._count = count
        self._stopping = anyio.Event()

    async def consume(self, delivery: Delivery, park: Park) -> Outcome:
        """Handle a delivery to its end; when this returns, it may be acknowledged.

        Raises:
            Failure: the store is away and the service is stopping, or the message could not be
                parked. It is not to be acknowledged: the broker delivers it again.
        """
        counted_type = "other"
        try:
            envelope = read_envelope(delivery, self._documented_type)
            counted_type = envelope.type if envelope.type in CONSUMED else "other"
            with structlog.contextvars.bound_contextvars(
                message_id=envelope.message_id, message_type=envelope.type, tenant_id=envelope.tenant
            ):
                outcome = await self._handle(envelope)
        except Failure:
            raise
        except Exception as error:
            outcome = await self._park(delivery, error, park)
        self._count(counted_type, outcome)
        return outcome

    def stop(self) -> None:
        """Give up waiting for a store that is away; the broker keeps what is not acknowledged."""
        self._stopping.set()

    async def _handle(self, envelope: Envelope) -> Outcome:
        command = command_for(envelope, self._opportunity_shard_types)
        if command is None:
            return "ignored"
        try:
            committed = await self._patiently(command)
        except Refusal as refusal:
            log.info("message_refused", code=refusal.code, reason=refusal.message)
            return "ignored"
        return "handled" if committed.new else "without_effect"

    async def _patiently(self, command: Command) -> Committed:
        retrying = AsyncRetrying(
            retry=_may_pass,
            stop=lambda _: self._stopping.is_set(),
            wait=wait_exponential_jitter(
                initial=FIRST_BACKOFF_SECONDS, max=LONGEST_BACKOFF_SECONDS, jitter=0.2
            ),
            sleep=self._sleep,
            before_sleep=_log_retry,
            reraise=True,
        )
        return await retrying(self._dispatch, command)

    async def _sleep(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._stopping.wait()

    async def _park(self, delivery: Delivery, error: Exception, park: Park) -> Outcome:
        expected = isinstance(error, Unreadable)
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        await park(delivery, reason)
        log.warning("message_parked", reason=reason, exc_info=None if expected else error)
        return "parked"


def _may_pass(state: RetryCallState) -> bool:
    """A failure of the world passes some time; an unexpected error may, and is given a few tries."""
    error = state.outcome.exception() if state.outcome else None
    if error is None or isinstance(error, Refusal) or not isinstance(error, Exception):
        return False
    return isinstance(error, Failure) or state.attempt_number < TRIES_OF_AN_UNEXPECTED_ERROR


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning(
        "message_waits",
        attempt=state.attempt_number,
        retry_in_seconds=round(state.next_action.sleep, 3) if state.next_action else None,
        error=f"{type(error).__name__}: {error}",
    )
