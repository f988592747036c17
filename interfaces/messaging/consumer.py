"""What becomes of a received message, whatever transport it came by.

Handled and ignored messages may be acknowledged: their events are stored, or there is nothing to store. A
message that can never be handled is parked with the reason. If a store is away, the message waits: it stays
unacknowledged until its events are stored.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Literal

import msgspec
import structlog
from structlog.contextvars import bind_contextvars, reset_contextvars

from application.chains import Chains
from application.command import Command
from application.dispatcher import Dispatcher
from application.tenant_turns import TenantTurns
from application.triggers import Triggers, runs_for
from application.workflow_commands import RequestRun, TakeReply
from domain.errors import BadInput, Failure, JobNotFound, Refusal, TooLongAChain, TooMuchAtOnce
from domain.values import is_uuid
from interfaces.messaging.envelope import Delivery, Envelope, Unreadable, read_envelope
from interfaces.messaging.messages import CONSUMED, command_for, reply_in
from projections.patience import Patience, Stopped

Outcome = Literal["handled", "without_effect", "ignored", "parked"]

_BY_EFFECT: tuple[Outcome, ...] = ("handled", "without_effect", "ignored")

Park = Callable[[Delivery, str], Awaitable[None]]

TRIES_OF_AN_UNEXPECTED_ERROR = 5
PAUSE_BEFORE_RETURN_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 5.0
"""If the store has more to do than it can, messages must get a turn beside requests."""

log = structlog.get_logger(__name__)


class MessageConsumer:
    """Turns messages into commands, and returns the outcome of each.

    ``at_once`` messages are handled concurrently, those of the tenants in turns. ``triggers`` are the
    definitions' own, and ``chains`` tell what led to what they start. ``opportunity_shard_types`` are the
    shards whose change starts an analysis. ``documented_type`` turns an alias on the wire into the documented
    type. ``count`` is called with each message's type and outcome; the type is that of its routing key if it
    cannot be read.
    """

    def __init__(
        self,
        dispatch: Dispatcher,
        *,
        triggers: Triggers,
        chains: Chains,
        at_once: int,
        opportunity_shard_types: Collection[str],
        documented_type: Mapping[str, str],
        count: Callable[[str, Outcome], None],
    ) -> None:
        self._dispatch = dispatch
        self._triggers = triggers
        self._chains = chains
        self._turns = TenantTurns(at_once)
        self._opportunity_shard_types = opportunity_shard_types
        self._documented_type = documented_type
        self._count = count
        self._patience = Patience("a message", longest_wait_seconds=LONGEST_WAIT_SECONDS)

    async def consume(self, delivery: Delivery, park: Park) -> Outcome:
        """Handle a message completely. When this returns, the message may be acknowledged. When it raises,
        the message must not be acknowledged, and the broker delivers it again.

        Raises:
            Stopped: the store is away and the service is stopping.
            Failure: the message could not be parked.
        """
        key = delivery.routing_key
        counted_type = _counted(self._documented_type.get(key, key))
        try:
            envelope = read_envelope(delivery, self._documented_type)
            counted_type = _counted(envelope.type)
            before = bind_contextvars(
                message_id=envelope.message_id,
                message_type=envelope.type,
                tenant_id=envelope.tenant,
                correlation_id=envelope.correlation_id,
            )
            try:
                async with self._turns.turn(envelope.tenant or ""):
                    outcome = await self._handle(envelope)
                log.debug("message", outcome=outcome)
            finally:
                reset_contextvars(**before)
        except (Failure, Stopped):
            raise
        except Exception as error:
            outcome = await self._park(delivery, error, park)
        self._count(counted_type, outcome)
        return outcome

    def stop(self) -> None:
        """Give up waiting for a store that is away. The broker keeps what is not acknowledged."""
        self._patience.stop()

    async def pause(self) -> None:
        """Wait before a message goes back to the queue, so that it does not come again at full speed."""
        await self._patience.sleep(PAUSE_BEFORE_RETURN_SECONDS)

    async def _handle(self, envelope: Envelope) -> Outcome:
        outcomes: list[Outcome] = []
        unreadable: Unreadable | None = None
        command: Command | None = None
        try:
            command = command_for(envelope, self._opportunity_shard_types)
            outcomes += [await self._outcome(command)] if command is not None else []
        except Unreadable as error:
            unreadable = error
        if not isinstance(command, TakeReply) and is_uuid(envelope.tenant):
            reply = reply_in(envelope)
            outcomes += [await self._outcome(reply)] if reply is not None else []
        outcomes += [await self._outcome(run) for run in await self._triggered(envelope)]
        if unreadable is not None and "handled" not in outcomes:
            raise unreadable
        return min(outcomes, key=_BY_EFFECT.index, default="ignored")

    async def _triggered(self, envelope: Envelope) -> Sequence[RequestRun]:
        """Return the runs that definitions want for a message, whose tenant is known."""
        if not is_uuid(envelope.tenant):
            return ()
        meta = envelope.caused_by(envelope.require_tenant())
        find = partial(runs_for, self._triggers, envelope.as_context(), meta)
        runs = await self._patience.until_done(find, may_pass=_may_pass)
        if not runs:
            return ()
        told_by = meta.tenant, envelope.service, envelope.data
        chain = await self._patience.until_done(partial(self._chains.up_to, *told_by), may_pass=_may_pass)
        starter = await self._patience.until_done(
            partial(self._chains.starter_of, *told_by), may_pass=_may_pass
        )
        return [
            msgspec.structs.replace(
                run, chain=chain, meta=msgspec.structs.replace(run.meta, actor=starter or run.meta.actor)
            )
            for run in runs
        ]

    async def _outcome(self, command: Command) -> Outcome:
        try:
            committed = await self._patience.until_done(partial(self._dispatch, command), may_pass=_may_pass)
        except TooLongAChain as endless:
            raise Unreadable(endless.message) from endless
        except Refusal as refusal:
            tell = log.warning if isinstance(refusal, JobNotFound | BadInput) else log.info
            tell("message_refused", code=refusal.code, reason=refusal.in_a_line)
            return "ignored"
        return "handled" if committed.new else "without_effect"

    async def _park(self, delivery: Delivery, error: Exception, park: Park) -> Outcome:
        expected = isinstance(error, Unreadable)
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        await park(delivery, reason)
        log.warning(
            "message_parked",
            reason=reason,
            message_id=delivery.message_id,
            routing_key=delivery.routing_key,
            exc_info=None if expected else error,
        )
        return "parked"


def _counted(message_type: str) -> str:
    """Return the name under which a type is counted. Others may invent any number of types."""
    return message_type if message_type in CONSUMED else "other"


def _may_pass(error: Exception, tries: int) -> bool:
    """Return whether to retry. A failure outside passes some time; an unexpected error may pass, and gets a
    few tries."""
    if isinstance(error, Refusal | TooMuchAtOnce):
        return False
    return isinstance(error, Failure) or tries < TRIES_OF_AN_UNEXPECTED_ERROR
