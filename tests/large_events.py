"""Logs with events of the largest size that a request may have."""

from application.event_log import EventLog
from application.event_store import EventStore
from application.log_batches import BATCH_BYTES, LogBatch
from domain.approval import ApprovalRequested, approval_stream
from domain.event import Recorded
from domain.job import JobFired, job_stream
from domain.values import SYSTEM_TENANT
from tests.builders import NOW, TENANT, metadata, recorded

MIB = 1024 * 1024

A_BATCH = BATCH_BYTES // MIB
"""How many large events fill a batch: each is a little larger than a mebibyte."""


def append_large(log: EventLog, count: int, *, size: int = MIB) -> None:
    """Append ``count`` requested approvals with a payload of ``size`` bytes, each by itself."""
    for number in range(count):
        id = id_of(number)
        asked = ApprovalRequested(
            approval_id=id,
            opportunity_id=id,
            risk_score=1,
            amount=1,
            requested_at=NOW,
            payload={"rows": "x" * size},
        )
        log.recorder.insert_events(
            [log.stored(each) for each in recorded(approval_stream(TENANT, id), [asked])]
        )


def append_large_runs(log: EventLog, job: str, count: int) -> None:
    """Append ``count`` runs of a job, each with a mebibyte of metadata. It consists of small objects, which
    take nine times as much memory."""
    rows = [{"id": number, "name": "abc", "v": 1.5} for number in range(MIB // 36)]
    for number in range(count):
        fired = JobFired(
            job=job, run_id=id_of(number), triggered_by="manual", fired_at=NOW, metadata={"rows": rows}
        )
        each = Recorded(
            stream=job_stream(job),
            version=number + 1,
            timestamp=NOW,
            meta=metadata(tenant=SYSTEM_TENANT),
            event=fired,
        )
        log.recorder.insert_events([log.stored(each)])


def id_of(number: int) -> str:
    """Return a UUID."""
    return f"00000000-0000-4000-8000-{number:012d}"


async def batches_of(store: EventStore, limit: int) -> list[LogBatch]:
    """Return all batches that a store reads from the beginning of a log."""
    found: list[LogBatch] = []
    after = None
    while batch := await store.read(store.partition_of(TENANT), after, limit):
        found.append(batch)
        after = batch.position
    return found
