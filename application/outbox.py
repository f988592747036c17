"""The outbox: publishes what the log says, in order within an aggregate, side by side across them."""

import asyncio
from collections.abc import Sequence

import structlog

from application.commands import Command
from application.dispatcher import Dispatcher
from application.integration import PUBLISHED_EVENTS, public_message
from application.job_commands import FailJobRun, NoteJobPublished
from application.policies.giving_up import GivingUp
from application.policies.reaction import because_of, error_within
from application.ports import PublicMessage, Publisher
from domain.errors import BrokerUnavailable, MessageUnroutable, Refusal
from domain.event import Event, Recorded
from domain.job import JobFired
from domain.lease import Lease

log = structlog.get_logger(__name__)


class Outbox:
    """A follower's handler. Confirmed messages of a batch that fails are not sent again by this process.

    After a crash they may be, or by an instance that takes over: a message carries the same id each time,
    so that a receiver can tell.
    """

    name = "outbox"
    may_repeat_unnoticed = False

    def __init__(self, publisher: Publisher, dispatch: Dispatcher) -> None:
        self._publisher = publisher
        self._dispatch = dispatch
        self._giving_up = GivingUp(Outbox.name)
        self._confirmed: set[str] = set()
        self._unroutable: dict[str, str] = {}

    def wants(self, event: Event) -> bool:
        """Whether the neighbours are told of such an event."""
        return isinstance(event, PUBLISHED_EVENTS)

    async def start_over(self) -> None:
        """What was published stays published."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Publish the batch's messages; returns when each is confirmed.

        Raises:
            BrokerUnavailable: some are not confirmed; the batch is to be handled again.
            LeaseLost: the rest is for another instance to publish.
            StoreUnavailable: what came of a job's trigger is not kept yet; the batch comes again.
        """
        by_stream: dict[str, list[PublicMessage]] = {}
        for recorded in events:
            message = public_message(recorded)
            if message is not None and message.id not in self._confirmed:
                by_stream.setdefault(recorded.stream, []).append(message)
        outcomes = await asyncio.gather(
            *(self._publish_in_order(messages, lease) for messages in by_stream.values()),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        if any(message.id not in self._confirmed for messages in by_stream.values() for message in messages):
            raise BrokerUnavailable("a publication ended without its confirmation")
        fired = [recorded for recorded in events if isinstance(recorded.event, JobFired)]
        await self._giving_up.act_on_each(fired, self._note, self._fail_run, lease)
        self._confirmed.clear()
        self._unroutable.clear()

    async def _note(self, recorded: Recorded) -> None:
        """Keep in the run that its trigger is on its way, or that nobody takes it."""
        unroutable = self._unroutable.get(recorded.event_id)
        if unroutable is not None:
            await self._fail(recorded, unroutable)
            return
        fired = _fired(recorded)
        meta = because_of(recorded, self.name)
        await self._unless_refused(NoteJobPublished(meta=meta, job=fired.job, run_id=fired.run_id))

    async def _fail_run(self, recorded: Recorded) -> None:
        """A run that nobody knows to be on its way would have no deadline, and be open for ever."""
        await self._fail(recorded, error_within(self.name))

    async def _fail(self, recorded: Recorded, error: str) -> None:
        fired = _fired(recorded)
        meta = because_of(recorded, self.name)
        await self._unless_refused(FailJobRun(meta=meta, job=fired.job, reference=fired.run_id, error=error))

    async def _unless_refused(self, command: Command) -> None:
        try:
            await self._dispatch(command)
        except Refusal as refusal:
            log.info("policy_refused", policy=self.name, code=refusal.code, reason=refusal.message)

    async def _publish_in_order(self, messages: Sequence[PublicMessage], lease: Lease) -> None:
        for message in messages:
            try:
                await self._publisher.publish(message, lease)
            except MessageUnroutable as error:
                self._unroutable[message.id] = str(error)
            self._confirmed.add(message.id)


def _fired(recorded: Recorded) -> JobFired:
    assert isinstance(recorded.event, JobFired), f"{recorded.event!r} fires no job"
    return recorded.event
