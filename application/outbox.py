"""The outbox publishes what the log says: in order within an aggregate, concurrently across them."""

from collections.abc import Collection, Iterable, Sequence

import structlog

from application.command import Command
from application.dispatcher import Dispatcher
from application.integration import PUBLISHED_EVENTS, public_message
from application.job_commands import FailJobRun, NoteJobPublished
from application.policies.giving_up import GivingUp
from application.policies.reaction import because_of, error_within, refusal_of, rejected
from application.ports import PublicMessage, Publisher
from application.side_by_side import outcomes_of, raise_first
from domain.errors import MessageNotTaken, MessageRefused, MessageUnroutable
from domain.event import PutOff, Recorded
from domain.interest import Interest
from domain.job import JobFired
from domain.lease import Lease
from domain.platform_messages import own_message
from domain.workflow import StepDispatched

log = structlog.get_logger(__name__)


class Outbox:
    """A follower's handler. If a batch fails, this process does not send its confirmed messages again, even
    if batches of other partitions are handled before it comes again.

    After a crash they may be sent again, or by an instance that takes over. A message has the same id each
    time, so a receiver can recognize it. Whether a message was confirmed is known by its whole content: after
    a failover that has lost commits, the same command may have another outcome under the same id.

    If the broker does not accept a message now, although it accepts others, the message is put off together
    with those that follow it in its stream. One that the broker will never accept is given up: its step
    fails, or its run.

    A message of a workflow under one of ``wire_types``, which mean something else here, is not sent. An older
    definition may ask for it. A step fails because of that.
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
        self._given_up: dict[str, str] = {}
        self._under: Lease | None = None
        self._confirmed_before: Collection[str] = ()

    async def start_over(self) -> None:
        """Do nothing: what was published stays published."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> PutOff | None:
        """Publish the batch's messages. Return when each is confirmed, except for those that are put off.

        Raises:
            BrokerUnavailable: some are not confirmed; the batch must come again.
            CutShort: the same.
            LeaseLost: the rest is for another instance to publish.
            StoreUnavailable: the outcome of a job's trigger is not stored yet; the batch comes again.
        """
        self._go_on_under(lease)
        by_stream: dict[str, list[tuple[Recorded, PublicMessage]]] = {}
        for recorded in events:
            message = public_message(recorded)
            if message is not None:
                by_stream.setdefault(recorded.stream, []).append((recorded, message))
        not_taken: dict[str, tuple[int, MessageNotTaken]] = {}

        async def publish_in_order(messages: Sequence[tuple[Recorded, PublicMessage]]) -> None:
            for recorded, message in messages:
                try:
                    await self._publish(recorded, message, lease)
                except MessageNotTaken as error:
                    not_taken[recorded.stream] = recorded.version, error
                    return

        def waits(recorded: Recorded) -> bool:
            return recorded.stream in not_taken and recorded.version >= not_taken[recorded.stream][0]

        raise_first(await outcomes_of(publish_in_order, by_stream.values()))
        done = [recorded for recorded in events if not waits(recorded)] if not_taken else events
        fired = [recorded for recorded in done if isinstance(recorded.event, JobFired)]
        await self._giving_up.act_on_each(fired, self._note, self._fail_run, lease)
        if self._given_up:
            unsent = [each for each in done if isinstance(each.event, StepDispatched) and self._why_not(each)]
            await self._giving_up.act_on_each(unsent, self._refuse, self._fail_step, lease)
        self._forget(recorded.identity for recorded in done)
        if not not_taken:
            return None
        _, error = next(iter(not_taken.values()))
        return PutOff([recorded for recorded in events if waits(recorded)], str(error))

    def _go_on_under(self, lease: Lease) -> None:
        """Forget what was confirmed under the lease before the last: if another instance has handled that
        batch, it never comes again."""
        if lease is not self._under:
            self._forget(self._confirmed_before)
            self._under, self._confirmed_before = lease, tuple(self._confirmed)

    def _forget(self, ids: Iterable[str]) -> None:
        for id in ids:
            self._confirmed.pop(id, None)
            self._given_up.pop(id, None)

    async def _publish(self, recorded: Recorded, message: PublicMessage, lease: Lease) -> None:
        if self._confirmed.get(message.id) == message:
            return
        self._given_up.pop(message.id, None)
        if message.type in self._wire_types and not isinstance(recorded.event, JobFired):
            self._give_up(recorded, message, own_message(message.type))
        else:
            try:
                await self._publisher.publish(message, lease)
            except (MessageUnroutable, MessageRefused) as error:
                self._give_up(recorded, message, str(error))
        self._confirmed[message.id] = message

    def _give_up(self, recorded: Recorded, message: PublicMessage, error: str) -> None:
        """Give up a message. A message that only reports on a workflow is left out. If a step or a run asked
        for it, that is told why."""
        log.error(
            "message_given_up",
            type=message.type,
            tenant=message.tenant,
            event_id=recorded.event_id,
            message_id=message.id,
            error=error,
        )
        self._given_up[message.id] = error

    def _why_not(self, recorded: Recorded) -> str | None:
        """Return why a message was not sent."""
        return self._given_up.get(recorded.identity)

    async def _refuse(self, recorded: Recorded) -> None:
        """Fail the step that would have sent it."""
        await self._give(rejected(recorded, self.name, self._why_not(recorded) or ""))

    async def _fail_step(self, recorded: Recorded) -> None:
        await self._dispatch(rejected(recorded, self.name, error_within(self.name), "give up"))

    async def _note(self, recorded: Recorded) -> None:
        """Note in the run that its trigger was sent, or that nobody accepts it."""
        if why := self._why_not(recorded):
            await self._fail(recorded, why)
            return
        fired = _fired(recorded)
        meta = because_of(recorded, self.name)
        await self._give(NoteJobPublished(meta=meta, job=fired.job, run_id=fired.run_id))

    async def _fail_run(self, recorded: Recorded) -> None:
        """Fail a run whose trigger was never sent: it would have no deadline, and be open for ever."""
        await self._fail(recorded, error_within(self.name))

    async def _fail(self, recorded: Recorded, error: str) -> None:
        fired = _fired(recorded)
        meta = because_of(recorded, self.name)
        await self._give(FailJobRun(meta=meta, job=fired.job, reference=fired.run_id, error=error))

    async def _give(self, command: Command) -> None:
        await refusal_of(self._dispatch, command, self.name)


def _fired(recorded: Recorded) -> JobFired:
    assert isinstance(recorded.event, JobFired), f"{recorded.event!r} fires no job"
    return recorded.event
