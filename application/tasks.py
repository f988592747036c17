"""Tasks: load, decide, append."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from application.command import Command, moment_of
from application.deciders import Committed
from application.dispatcher import Handler
from application.event_store import EventStore
from application.ports import Clock
from application.task_commands import (
    ClaimTask,
    CompleteTask,
    ExpireTaskLease,
    ExtendTaskLease,
    FailTask,
    OfferTask,
    ReleaseTask,
    RevokeTask,
    TaskCommand,
)
from domain import task
from domain.errors import TaskNotFound
from domain.event import Event
from domain.task import Task, TaskOffered, task_stream

Decide = Callable[[Task, Any, datetime], tuple[Event, ...]]


class TaskHandlers:
    """The handlers of the commands about tasks."""

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Return the handler of each command."""
        return {
            OfferTask: self.offer_task,
            RevokeTask: self.revoke_task,
            **{command: self._handler(decide) for command, decide in _DECISIONS.items()},
        }

    async def offer_task(self, command: OfferTask) -> Committed:
        """Offer a task to the workers of a queue. One that exists is left as it is."""
        now = self._clock.now()
        offered = TaskOffered(
            task_id=command.task_id,
            queue=command.queue,
            input=command.input,
            workflow_id=command.workflow_id,
            step_id=command.step_id,
            step_type=command.step_type,
            attempt=command.attempt,
            offered_at=now,
            deadline_at=command.deadline_at,
        )
        return await self._execute(command, now, lambda state: task.offer(state, offered))

    async def revoke_task(self, command: RevokeTask) -> Committed:
        """Withdraw a task from whoever has it. One that never existed needs no withdrawal."""
        now = self._clock.now()
        return await self._execute(
            command, now, lambda state: task.revoke(state, reason=command.reason, now=now)
        )

    def _handler(self, decide: Decide) -> Handler:
        async def handle(command: Any) -> Committed:
            now = self._clock.now()

            def decide_existing(state: Task | None) -> tuple[Event, ...]:
                if state is None:
                    raise TaskNotFound(f"there is no task {command.task_id}")
                return decide(state, command, now)

            return await self._execute(command, now, decide_existing)

        return handle

    async def _execute(
        self, command: TaskCommand, now: datetime, decide: Callable[[Task | None], tuple[Event, ...]]
    ) -> Committed:
        return await self._store.execute(
            task_stream(command.meta.tenant, command.task_id),
            evolve=task.evolve,
            decide=decide,
            meta=command.meta,
            now=now,
            expected_version=command.expected_version,
            keeps_correlation=command.names_no_correlation,
        )


_DECISIONS: Mapping[type[Command], Decide] = {
    ClaimTask: lambda state, command, now: task.claim(
        state,
        worker_id=command.worker_id,
        lease_digest=command.lease_digest,
        lease_seconds=command.lease_seconds,
        now=now,
    ),
    ExtendTaskLease: lambda state, command, now: task.heartbeat(
        state, lease_digest=command.lease_digest, lease_seconds=command.lease_seconds, now=now
    ),
    ReleaseTask: lambda state, command, now: task.release(state, lease_digest=command.lease_digest, now=now),
    CompleteTask: lambda state, command, now: task.complete(
        state, lease_digest=command.lease_digest, output=command.output, now=now
    ),
    FailTask: lambda state, command, now: task.fail(
        state,
        lease_digest=command.lease_digest,
        error=command.error,
        retryable=command.retryable,
        now=now,
    ),
    ExpireTaskLease: lambda state, command, now: task.expire(state, now=moment_of(command, now)),
}
"""The rule that decides on each command about an existing task."""
