"""The connection breaks between PostgreSQL's commit and its answer: a command counts once, and is told so."""

from collections.abc import Iterator
from contextlib import suppress

import anyio
import psycopg
import pytest

from application.deciders import Committed
from application.event_store import EventStore
from domain import job
from domain.errors import StoreUnavailable
from domain.event import Event
from domain.job import BatchJob, JobFired
from tests.application.logs import open_logs, postgres_settings
from tests.builders import NOW, TENANT, metadata
from tests.chaos.proxy import Proxy, proxy
from tests.harness import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
def between(postgres_store_url: str) -> Iterator[Proxy]:
    with proxy(postgres_store_url) as between:
        yield between


@pytest.fixture(params=[True, False], ids=["group commit", "each alone"])
def store(request: pytest.FixtureRequest, between: Proxy) -> Iterator[EventStore]:
    with open_logs(postgres_settings(between.url(), connections=9)) as logs:
        threads, at_once = (1, 100) if request.param else (6, 1)
        yield EventStore(logs.open(), threads=threads, at_once=at_once)


async def fire(store: EventStore, stream: str, answers: dict[str, Committed]) -> None:
    """Give a command, and give it again for as long as the store says that it is away."""
    meta = metadata()

    def decide(state: BatchJob | None) -> list[Event]:
        return [JobFired(job="j", run_id=stream, triggered_by="manual", fired_at=NOW, metadata={})]

    while stream not in answers:
        with suppress(StoreUnavailable):
            answers[stream] = await store.execute(
                stream, evolve=job.evolve, decide=decide, meta=meta, now=NOW
            )


def stored(url: str) -> list[tuple[str, int]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT originator_id, originator_version FROM workflow_orchestrator_events ORDER BY 1, 2"
        ).fetchall()


async def test_commands_whose_commit_was_not_acknowledged_are_recognised_and_answered(
    store: EventStore, between: Proxy, postgres_store_url: str
) -> None:
    streams = [f"{TENANT}/job/{number}" for number in range(6)]
    await store.ping()
    answers: dict[str, Committed] = {}
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            between.keep_answers_to(JobFired.TOPIC.encode())
            for stream in streams:
                group.start_soon(fire, store, stream, answers)

            async def something_is_stored() -> bool:
                return bool(stored(postgres_store_url))

            await eventually(something_is_stored)
            await anyio.sleep(0.2)
            answered_before = dict(answers)
            between.cut()
            between.open()
    assert answered_before == {}
    assert stored(postgres_store_url) == [(stream, 1) for stream in streams]
    assert {stream: answer.version for stream, answer in answers.items()} == dict.fromkeys(streams, 1)
    assert any(answer.new == () for answer in answers.values()), "no acknowledgement was lost"
