"""A worker of batch jobs, which handles each trigger once, by its message ID, and reports the outcome."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec
from aio_pika.abc import AbstractIncomingMessage

from domain.values import SYSTEM_TENANT
from tests.neighbours import Neighbour

Report = Callable[[str, bytes], Awaitable[None]]


@dataclass
class Worker:
    """Fails runs whose windows begin on a day in ``failing``, once for each time that the day occurs in it.
    ``taken`` are the triggers by message ID."""

    report: Report
    failing: list[str] = field(default_factory=list)
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def windows(self) -> list[tuple[str, str]]:
        """The windows of the triggers, in their order."""
        metadata = [each["data"]["metadata"] for each in self.taken.values()]
        return [(each["from"], each["to"]) for each in metadata if "from" in each]

    async def take(self, body: bytes) -> None:
        """Handle a trigger. For a repeated one, only the report is repeated."""
        trigger = msgspec.json.decode(body)
        fails = trigger["data"]["metadata"].get("from") in self.failing
        if fails and trigger["id"] not in self.taken:
            self.failing.remove(trigger["data"]["metadata"]["from"])
        self.taken[trigger["id"]] = trigger
        outcome = {"error": "no disk"} if fails else {"status": "success"}
        message_type = "workflow.job.failed" if fails else "workflow.job.completed"
        data = {"job": trigger["data"]["job"], **outcome}
        await self.report(message_type, msgspec.json.encode(_envelope(message_type, data, trigger)))


@asynccontextmanager
async def rabbit_worker(crm: Neighbour) -> AsyncIterator[Worker]:
    """Yield a worker on the job queue of a real broker, which declares the queue as the platform's worker
    does."""

    async def report(message_type: str, body: bytes) -> None:
        await crm.send_raw(message_type, body)

    worker = Worker(report)

    async def on_message(message: AbstractIncomingMessage) -> None:
        await worker.take(message.body)
        await message.ack()

    queue = await crm.channel.declare_queue(crm.names.job_queue, durable=True)
    consumer = await queue.consume(on_message)
    yield worker
    await queue.cancel(consumer)


def days(first: int, last: int) -> Iterator[tuple[str, str]]:
    """Yield windows of one day, from one day of January to another."""
    return ((f"2026-01-{number:02}", f"2026-01-{number + 1:02}") for number in range(first, last + 1))


def _envelope(message_type: str, data: dict[str, Any], trigger: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "type": message_type,
        "version": "1.0",
        "tenantId": SYSTEM_TENANT,
        "source": {"service": "a-neighbour", "instance": "a-worker-1"},
        "data": data,
        "metadata": {"correlationId": trigger["metadata"]["correlationId"]},
    }
