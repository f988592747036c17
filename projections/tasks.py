"""``workflow_tasks``: one document a task, and where the claims find those that wait."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from domain.event import Event, Recorded
from domain.task import (
    TaskClaimed,
    TaskCompleted,
    TaskEvent,
    TaskFailed,
    TaskLeaseExtended,
    TaskOffered,
    TaskRevoked,
)
from domain.values import timestamp
from projections.ports import Container, Document, Documents, Json, Query
from projections.projection import existing


class Tasks:
    """The fold of ``workflow_tasks``."""

    category = "task"
    kinds = TaskEvent

    def __init__(self, name: str = "workflow_tasks") -> None:
        self.container = Container(
            name,
            sort_field="createdAt",
            filter_fields=("queue", "status"),
            filters_together=(("queue", "status"),),
        )

    def reads(self, event: Event) -> Sequence[str]:
        """The task that an event is about."""
        return [event.task_id] if isinstance(event, TaskEvent) else ()

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Follow the task."""
        event = recorded.event
        assert isinstance(event, TaskEvent)
        now = timestamp(recorded.timestamp)
        if isinstance(event, TaskOffered):
            return {event.task_id: _offered(event, recorded.meta.tenant, now)}
        task = existing(documents, event.task_id) | {"updatedAt": now}
        return {event.task_id: _changed(task, event)}


def _offered(event: TaskOffered, tenant: str, now: str) -> Json:
    task: Json = {
        "id": event.task_id,
        "taskId": event.task_id,
        "tenantId": tenant,
        "queue": event.queue,
        "status": "offered",
        "workflowId": event.workflow_id,
        "stepId": event.step_id,
        "stepType": event.step_type,
        "attempt": event.attempt,
        "claims": 0,
        "input": event.input,
        "createdAt": now,
        "updatedAt": now,
    }
    if event.deadline_at is not None:
        task["deadlineAt"] = timestamp(event.deadline_at)
    return task


def _changed(task: Json, event: TaskEvent) -> Json:
    match event:
        case TaskClaimed():
            return task | {
                "status": "claimed",
                "claims": task["claims"] + 1,
                "workerId": event.worker_id,
                "leaseUntil": timestamp(event.lease_until),
            }
        case TaskLeaseExtended():
            return task | {"leaseUntil": timestamp(event.lease_until)}
    unleased = {name: task[name] for name in task if name != "leaseUntil"}
    match event:
        case TaskCompleted():
            completed_at = timestamp(event.completed_at)
            return unleased | {"status": "completed", "output": event.output, "completedAt": completed_at}
        case TaskFailed():
            return unleased | {
                "status": "failed",
                "error": event.error,
                "retryable": event.retryable,
                "completedAt": timestamp(event.failed_at),
            }
        case TaskRevoked():
            revoked_at = timestamp(event.revoked_at)
            return unleased | {"status": "revoked", "reason": event.reason, "completedAt": revoked_at}
    return {name: unleased[name] for name in unleased if name != "workerId"} | {"status": "offered"}


class TaskCandidates:
    """The tasks that a claim may try, as the documents tell: what the log says decides.

    The documents follow the log by milliseconds. Each task comes with the version that its document is of.
    """

    def __init__(self, documents: Documents, tasks: Tasks) -> None:
        self._documents = documents
        self._container = tasks.container

    async def offered(
        self, tenant: str, queue: str, *, after: tuple[str, str] | None, limit: int
    ) -> tuple[Sequence[tuple[str, int]], tuple[str, str] | None]:
        """Up to ``limit`` tasks that wait in a queue, the oldest first, and where to go on.

        Raises:
            StoreUnavailable: the documents are away.
        """
        page = await self._documents.query(
            self._container,
            tenant,
            Query(
                equal={"queue": queue, "status": "offered"},
                after=after,
                limit=limit,
                oldest_first=True,
                counted=False,
            ),
        )
        return [(document.id, document.version) for document in page.documents], page.next_after

    async def expired(
        self, tenant: str, queue: str, *, now: datetime, limit: int
    ) -> Sequence[tuple[str, int]]:
        """Those of the ``limit`` tasks claimed longest ago whose leases have run out, whether or not
        anybody has said so.

        Raises:
            StoreUnavailable: the documents are away.
        """
        page = await self._documents.query(
            self._container,
            tenant,
            Query(equal={"queue": queue, "status": "claimed"}, limit=limit, oldest_first=True, counted=False),
        )
        return [
            (document.id, document.version)
            for document in page.documents
            if _lease_until(document) <= timestamp(now)
        ]


class _Leased(msgspec.Struct, rename="camel"):
    lease_until: str


_decode = msgspec.json.Decoder(_Leased).decode


def _lease_until(document: Document) -> str:
    return _decode(document.body).lease_until
