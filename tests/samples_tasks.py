"""One example of every stored event of a task, with every field filled."""

from domain.event import Event
from domain.task import (
    TaskClaimed,
    TaskCompleted,
    TaskFailed,
    TaskLeaseExpired,
    TaskLeaseExtended,
    TaskOffered,
    TaskReleased,
    TaskRevoked,
    digest_of,
)
from tests.builders import NOW, after

TASK_EVENTS: tuple[Event, ...] = (
    TaskOffered(
        task_id="task-1",
        queue="reports",
        input={"opportunity": "opp-1", "parts": [1, 2.5, None]},
        workflow_id="w-1",
        step_id="step-1",
        step_type="write_report",
        attempt=1,
        offered_at=NOW,
        deadline_at=after(minutes=15),
    ),
    TaskClaimed(
        task_id="task-1",
        worker_id="worker-ü",
        lease_digest=digest_of("a token"),
        lease_seconds=60.0,
        lease_until=after(seconds=61),
        claimed_at=after(seconds=1),
    ),
    TaskLeaseExtended(
        task_id="task-1",
        lease_until=after(seconds=90),
        previous_until=after(seconds=61),
        extended_at=after(seconds=30),
    ),
    TaskReleased(
        task_id="task-1",
        queue="reports",
        worker_id="worker-ü",
        lease_until=after(seconds=90),
        released_at=after(seconds=40),
    ),
    TaskLeaseExpired(
        task_id="task-1",
        queue="reports",
        worker_id="worker-ü",
        lease_until=after(seconds=90),
        expired_at=after(seconds=91),
    ),
    TaskCompleted(
        task_id="task-1",
        workflow_id="w-1",
        step_id="step-1",
        attempt=1,
        worker_id="worker-ü",
        output={"pages": 12, "by": None},
        lease_until=after(seconds=90),
        completed_at=after(seconds=80),
    ),
    TaskFailed(
        task_id="task-1",
        workflow_id="w-1",
        step_id="step-1",
        attempt=1,
        worker_id="worker-ü",
        error="no ink",
        retryable=False,
        lease_until=after(seconds=90),
        failed_at=after(seconds=80),
    ),
    TaskRevoked(
        task_id="task-1",
        reason="the step was cancelled",
        lease_until=after(seconds=90),
        revoked_at=after(seconds=70),
    ),
)
