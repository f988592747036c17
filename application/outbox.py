"""The outbox: publishes what the log says, in order within an aggregate, side by side across them."""

from collections.abc import Collection, Iterable, Sequence
from itertools import chain

import structlog

from application.command import Command
from application.dispatcher import Dispatcher
from application.integration import PUBLISHED_EVENTS, public_message
from application.job_commands import FailJobRun, NoteJobPublished
from application.policies.giving_up import GivingUp
from application.policies.reaction import because_of, error_within, refusal_of, rejected
from application.ports import PublicMessage, Publisher
from application.side_by_side import outcomes_of, raise_first
from domain.errors import MessageUnroutable
from domain.event import Recorded
from domain.interest import Interest
from domain.job import JobFired
from domain.lease import Lease
from domain.platform_messages import own_message
from domain.workflow import StepDispatched

log = structlog.get_logger(__name__)


class Outbox:
    """A follower's handler. Confirmed messages of a batch that fails are not sent again by this process, also
    where those of other partitions are handled before it comes again.

    After a crash they may be, or by an instance that takes over: a message carries the same id each time,
    so that a receiver can tell. What was confirmed is told by the whole message: after a failover that has
    lost commits another event may be in the lost one's place, and have its id.

    What a workflow would send under one of ``wire_types``, which mean something else here, is not sent: an
    older definition may ask for it. A step fails by that.
    """

    name = "outbox"
    wants = Interest(*PUBLISHED_EVENTS)
    """What the neighbours are told of."""
    may_repeat_unnoticed = False

    def __init__(
        self, publisher: Publisher, dispatch: Dispatcher, *, wire_types: Collection[str] = ()
    ) -> None:
        self._publisher = publisher
        self._wire_types = wire_types
        self._dispatch = dispatch
        self._giving_up = GivingUp(Outbox.name)
        self._confirmed: dict[str, PublicMessage] = {}
        self._unroutable: dict[str, str] = {}
        self._under: Lease | None = None
        self._confirmed_before: Collection[str] = ()

    async def start_over(self) -> None:
        """What was published stays published."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Publish the batch's messages; returns when each is confirmed.

        Raises:
            BrokerUnavailable: some are not confirmed; the batch is to be handled again.
            CutShort: the same.
            LeaseLost: the rest is for another instance to publish.
            StoreUnavailable: what came of a job's trigger is not kept yet; the batch comes again.
        """
        self._go_on_under(lease)
        by_stream: dict[str, list[PublicMessage]] = {}
        refused: list[Recorded] = []
        for recorded in events:
            message = public_message(recorded)
            if message is not None and self._is_refused(recorded, message):
                refused.append(recorded)
            elif message is not None:
                by_stream.setdefault(recorded.stream, []).append(message)

        async def publish_in_order(messages: Sequence[PublicMessage]) -> None:
            for message in messages:
                if not self._is_confirmed(message):
                    await self._publish(message, lease)

        raise_first(await outcomes_of(publish_in_order, by_stream.values()))
        fired = [recorded for recorded in events if isinstance(recorded.event, JobFired)]
        await self._giving_up.act_on_each(fired, self._note, self._fail_run, lease)
        await self._giving_up.act_on_each(refused, self._refuse, self._fail_step, lease)
        self._forget(message.id for message in chain.from_iterable(by_stream.values()))

    def _go_on_under(self, lease: Lease) -> None:
        """What was confirmed under the lease before the last is forgotten: its batch never comes again where
        another instance has handled it."""
        if lease is not self._under:
            self._forget(self._confirmed_before)
            self._under, self._confirmed_before = lease, tuple(self._confirmed)

    def _forget(self, ids: Iterable[str]) -> None:
        for id in ids:
            self._confirmed.pop(id, None)
            self._unroutable.pop(id, None)

    def _is_confirmed(self, message: PublicMessage) -> bool:
        return self._confirmed.get(message.id) == message

    def _is_refused(self, recorded: Recorded, message: PublicMessage) -> bool:
        return message.type in self._wire_types and not isinstance(recorded.event, JobFired)

    async def _refuse(self, recorded: Recorded) -> None:
        """Fail the step that would have sent it; what would be told of a workflow is left out."""
        message = public_message(recorded)
        assert message is not None, f"{recorded.event!r} is no message"
        log.warning("message_not_sent", type=message.type, stream=recorded.stream, version=recorded.version)
        if isinstance(recorded.event, StepDispatched):
            await self._give(rejected(recorded, self.name, own_message(message.type)))

    async def _fail_step(self, recorded: Recorded) -> None:
        if isinstance(recorded.event, StepDispatched):
            await self._dispatch(rejected(recorded, self.name, error_within(self.name), "give up"))

    async def _note(self, recorded: Recorded) -> None:
        """Keep in the run that its trigger is on its way, or that nobody takes it."""
        unroutable = self._unroutable.get(recorded.event_id)
        if unroutable is not None:
            await self._fail(recorded, unroutable)
            return
        fired = _fired(recorded)
        meta = because_of(recorded, self.name)
        await self._give(NoteJobPublished(meta=meta, job=fired.job, run_id=fired.run_id))

    async def _fail_run(self, recorded: Recorded) -> None:
        """A run that nobody knows to be on its way would have no deadline, and be open for ever."""
        await self._fail(recorded, error_within(self.name))

    async def _fail(self, recorded: Recorded, error: str) -> None:
        fired = _fired(recorded)
        meta = because_of(recorded, self.name)
        await self._give(FailJobRun(meta=meta, job=fired.job, reference=fired.run_id, error=error))

    async def _give(self, command: Command) -> None:
        await refusal_of(self._dispatch, command, self.name)

    async def _publish(self, message: PublicMessage, lease: Lease) -> None:
        try:
            await self._publisher.publish(message, lease)
        except MessageUnroutable as error:
            self._unroutable[message.id] = str(error)
        else:
            self._unroutable.pop(message.id, None)
        self._confirmed[message.id] = message


def _fired(recorded: Recorded) -> JobFired:
    assert isinstance(recorded.event, JobFired), f"{recorded.event!r} fires no job"
    return recorded.event
