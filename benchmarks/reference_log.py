"""Load, decide and append with the library alone: the minimal cost of approving.

    python -m benchmarks.reference_log COUNT TASKS '{"PERSISTENCE_MODULE": …}'

It uses the functional style (frozen msgspec events, one call of the mapper each way) and the library's
recorder of the store in its settings. First COUNT streams with one event each are created, then TASKS tasks
run one command on each through ``anyio.to_thread``. Prints commands per second.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from eventsourcing.application import Application
from eventsourcing.domain import datetime_now_with_tzinfo
from eventsourcing.persistence import Mapper, StoredEvent
from eventsourcing.utils import get_topic, resolve_topic

WARM_UP = 200


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of every event."""

    originator_id: str
    originator_version: int
    timestamp: Any
    meta: dict[str, str]


class Requested(Happened, frozen=True, kw_only=True):
    """An approval was requested."""

    opportunity_id: str
    risk_score: float
    amount: float


class Approved(Happened, frozen=True, kw_only=True):
    """An approval was approved."""

    decided_by: str
    comment: str


class Approval(msgspec.Struct, frozen=True):
    """The state that the decision is based on."""

    id: str
    version: int
    status: str


META = {
    "tenant": "7d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10",
    "actor": "5b9d1c1e-2f0a-4b8e-8d43-0d6b7f2c4a11",
    "correlation_id": "0a1b2c3d-0000-4000-8000-00000000c0de",
    "command_id": "0a1b2c3d-0000-4000-8000-0000000ca05e",
}


def evolve(state: Approval | None, events: Iterable[Happened]) -> Approval | None:
    """Return the approval after the events."""
    for event in events:
        match event:
            case Requested():
                state = Approval(event.originator_id, event.originator_version, "pending")
            case Approved():
                assert state is not None
                state = Approval(state.id, event.originator_version, "approved")
    return state


def approve(state: Approval) -> Approved:
    """Return the event of approving."""
    assert state.status == "pending"
    return Approved(
        originator_id=state.id,
        originator_version=state.version + 1,
        timestamp=datetime_now_with_tzinfo(),
        meta=META,
        decided_by=META["actor"],
        comment="strategic account",
    )


class MsgspecMapper(Mapper[str]):
    """Stores the whole event in the state, with one call each way."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Encode an event."""
        return StoredEvent(
            domain_event.originator_id,
            domain_event.originator_version,
            get_topic(type(domain_event)),
            msgspec.json.encode(domain_event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Decode an event."""
        return _decoder(stored_event.topic).decode(stored_event.state)


class Approvals(Application[str]):
    """The library's application with that mapper."""

    def construct_mapper(self) -> Mapper[str]:
        """Return the mapper of this module instead of the library's."""
        return self.factory.mapper(transcoder=self.construct_transcoder(), mapper_class=MsgspecMapper)

    def approve(self, stream: str) -> None:
        """Run one command."""
        state = self.repository.get(stream, projector_func=evolve)
        self.save(approve(state))


async def commands_a_second(app: Approvals, streams: list[str], tasks: int) -> float:
    """Run a command on each stream with ``tasks`` tasks, and return the rate."""
    waiting: Iterator[str] = iter(streams)
    limiter = anyio.CapacityLimiter(tasks)

    async def work() -> None:
        for stream in waiting:
            await anyio.to_thread.run_sync(app.approve, stream, limiter=limiter)

    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(tasks):
            group.start_soon(work)
    return len(streams) / (time.perf_counter() - began)


async def measured(app: Approvals, streams: list[str], tasks: int) -> float:
    """Return the rate after a warm-up, which creates connections and threads."""
    await commands_a_second(app, streams[:WARM_UP], tasks)
    return await commands_a_second(app, streams[WARM_UP:], tasks)


def main() -> None:
    """Create the streams, measure the commands, and print the rate."""
    count, tasks, settings = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    app = Approvals(env={"ORIGINATOR_ID_TYPE": "text", **settings})
    streams = [f"{META['tenant']}/approval/{number}" for number in range(WARM_UP + count)]
    asked = [
        Requested(
            originator_id=stream,
            originator_version=1,
            timestamp=datetime_now_with_tzinfo(),
            meta=META,
            opportunity_id="opp-417",
            risk_score=0.87,
            amount=250_000,
        )
        for stream in streams
    ]
    app.recorder.insert_events([app.mapper.to_stored_event(event) for event in asked])
    print(anyio.run(measured, app, streams, tasks, backend_options={"use_uvloop": True}))
    app.close()


@lru_cache
def _decoder(topic: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(resolve_topic(topic))


if __name__ == "__main__":
    main()
