"""Carries out what concurrency groups decide: workflows start, wait, make way, and let the next one start."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog

from application.command import Command
from application.concurrency import ACTOR
from application.dispatcher import Dispatcher
from application.policies.giving_up import GivingUp
from application.policies.reaction import because_of
from application.policies.timer_keeper import timer_of
from application.ports import Timer, Timers
from application.side_by_side import outcomes_of, raise_first
from application.workflow_commands import CancelWorkflow, EndRun, PassDebounce, QueueWorkflow, StartWorkflow
from domain.concurrency import (
    RunReplaced,
    Start,
    StartDebounced,
    StartGranted,
    StartQueued,
    StartWithdrawn,
)
from domain.errors import Refusal
from domain.event import Metadata, Recorded
from domain.interest import Interest
from domain.lease import Lease
from domain.values import derived_id
from domain.workflow import (
    Workflow,
    WorkflowEnding,
)

DEBOUNCE = "debounce"
AT_ONCE = 32
"""How many streams' events are handled concurrently. Their appends share commits."""

_Decided = StartGranted | StartQueued | StartDebounced | StartWithdrawn | RunReplaced

log = structlog.get_logger(__name__)


class ConcurrencyGroups:
    """A follower's handler. It derives its commands from the events; a repeated command has no effect."""

    name = "runs"
    wants = Interest(_Decided) | Interest(
        WorkflowEnding, where=lambda event: event.concurrency_group is not None
    )
    """What groups decide, and the ends of workflows that belong to a group."""
    may_repeat_unnoticed = True

    def __init__(self, dispatch: Dispatcher, timers: Timers) -> None:
        self._dispatch = dispatch
        self._timers = timers
        self._giving_up = GivingUp(ConcurrencyGroups.name)

    async def start_over(self) -> None:
        """Do nothing: what was started stays started."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Handle a batch. An event that fails does not hold up the others.

        Raises:
            StoreUnavailable: some are not handled; the batch must come again.
            LeaseLost: the rest is for another instance.
        """
        timers = [_timer(each, each.event) for each in events if isinstance(each.event, StartDebounced)]
        if timers:
            await self._timers.change(set=timers, cancel=(), lease=lease)

        async def act_on(history: Sequence[Recorded]) -> None:
            for recorded in history:
                lease.check()
                await self._giving_up.act(recorded, self._act, self._make_way)

        raise_first(await outcomes_of(act_on, in_turns(events), at_once=AT_ONCE))

    async def _act(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, WorkflowEnding):
            assert event.concurrency_group is not None
            await self._end(recorded, event.concurrency_group, event.workflow_id)
            return
        match event:
            case StartGranted():
                await self._start(recorded, event)
            case StartQueued() if event.start.explicit:
                await self._queue(recorded, event)
            case StartWithdrawn() if event.explicit:
                await self._cancel(recorded, event.workflow_id, "replaced by another start")
            case RunReplaced():
                await self._cancel(recorded, event.workflow_id, f"replaced by workflow {event.by}")

    async def _make_way(self, recorded: Recorded) -> None:
        """Give up a start that fails again and again, so that its group does not wait for ever."""
        if isinstance(recorded.event, StartGranted):
            await self._give_up_start(
                recorded, recorded.event, "an internal error; see the log of the service"
            )

    async def _start(self, recorded: Recorded, event: StartGranted) -> None:
        """Start the workflow. If it can no longer be started, the group must not wait for it. Nor must it
        wait for an existing workflow of another group, or one that has ended: such a workflow never reports
        its end to this group."""
        start = event.start
        try:
            committed = await self._dispatch(
                StartWorkflow(
                    meta=_on_behalf_of(start, recorded),
                    workflow_id=start.workflow_id,
                    opportunity_id=start.opportunity_id,
                    definition=start.definition,
                    version=start.version,
                    input=start.input,
                    chain=start.chain,
                    concurrency_group=None if start.policy == "allow" else event.group,
                    accepted=True,
                )
            )
        except Refusal as refusal:
            log.warning("run_refused", workflow=start.workflow_id, reason=refusal.in_a_line)
            await self._give_up_start(recorded, event, refusal.in_a_line)
            return
        if start.policy == "allow":
            return
        there: Workflow = committed.past.state
        if not there.will_make_room_in(event.group):
            await self._end(recorded, event.group, start.workflow_id)

    async def _give_up_start(self, recorded: Recorded, event: StartGranted, reason: str) -> None:
        await self._cancel(recorded, event.start.workflow_id, reason)
        await self._end(recorded, event.group, event.start.workflow_id)

    async def _queue(self, recorded: Recorded, event: StartQueued) -> None:
        start = event.start
        await self._unless_refused(
            QueueWorkflow(
                meta=_on_behalf_of(start, recorded),
                workflow_id=start.workflow_id,
                opportunity_id=start.opportunity_id,
                definition=start.definition,
                version=start.version,
                input=start.input,
                concurrency_group=event.group,
                accepted=True,
            )
        )

    async def _cancel(self, recorded: Recorded, workflow_id: str, reason: str) -> None:
        """Cancel a workflow. One that has ended meanwhile, or never began, is left as it is."""
        meta = because_of(recorded, ConcurrencyGroups.name, "cancel")
        await self._unless_refused(
            CancelWorkflow(meta=meta, workflow_id=workflow_id, reason=reason, may_do_all=True)
        )

    async def _end(self, recorded: Recorded, group: str, workflow_id: str) -> None:
        meta = because_of(recorded, ConcurrencyGroups.name, "end")
        await self._dispatch(EndRun(meta=meta, group=group, workflow_id=workflow_id))

    async def _unless_refused(self, command: Command) -> None:
        try:
            await self._dispatch(command)
        except Refusal as refusal:
            log.info("run_left_as_it_is", command=type(command).__name__, reason=refusal.in_a_line)


def in_turns(events: Sequence[Recorded]) -> Iterator[Sequence[Recorded]]:
    """Yield each stream's events, taking a stream of each tenant in turn, so that a tenant with many streams
    does not come first."""
    tenants: dict[str, dict[str, list[Recorded]]] = {}
    for recorded in events:
        tenants.setdefault(recorded.meta.tenant, {}).setdefault(recorded.stream, []).append(recorded)
    queues = [iter(streams.values()) for streams in tenants.values()]
    while queues:
        left = []
        for queue in queues:
            stream = next(queue, None)
            if stream is not None:
                left.append(queue)
                yield stream
        queues = left


def _on_behalf_of(start: Start, recorded: Recorded) -> Metadata:
    """Return the metadata of whoever asked for the start, whoever made room for it.

    A start that was requested under an ``Idempotency-Key`` keeps that key. So the workflow can tell a repeat
    from another request, whether the request's handler or this policy begins it.
    """
    if recorded.meta.request_digest is not None:
        return recorded.meta
    return Metadata(
        tenant=recorded.meta.tenant,
        actor=start.actor,
        correlation_id=start.correlation_id,
        causation_id=start.causation_id,
        command_id=derived_id("run", recorded.identity),
    )


def _timer(recorded: Recorded, event: StartDebounced) -> Timer:
    workflow_id = event.start.workflow_id
    id = derived_id(DEBOUNCE, workflow_id, event.due_at.isoformat())
    payload = {"group": event.group, "workflow_id": workflow_id}
    return timer_of(recorded, id=id, kind=DEBOUNCE, due_at=event.due_at, payload=payload, actor=ACTOR)


def _debounced(timer: Timer) -> Command:
    return PassDebounce(
        meta=timer.meta,
        group=str(timer.payload["group"]),
        workflow_id=str(timer.payload["workflow_id"]),
        due_at=timer.due_at,
    )


COMMANDS: Mapping[str, Callable[[Timer], Command]] = {DEBOUNCE: _debounced}
"""The command that each kind of timer stands for."""
