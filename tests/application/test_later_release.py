"""An older release beside a newer one on the same log: an event that it does not know ends nothing."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import anyio
import msgspec
import pytest
from eventsourcing.persistence import StoredEvent
from structlog.testing import capture_logs

from application import task_news, watching
from application.event_store import EventStore
from application.shared_reads import SharedReads
from application.task_news import Ear, TaskNews
from application.watching import Watches
from domain.event import Event
from domain.job import JobFired
from domain.task import TaskOffered
from tests.application.logs import OpenLogs, open_logs, sqlite_settings
from tests.builders import NOW, TENANT, metadata

pytestmark = pytest.mark.anyio

STREAM = f"{TENANT}/job/j"
FIRED = JobFired(job="j", run_id="r", triggered_by="manual", fired_at=NOW, metadata={})
OFFERED = TaskOffered(
    task_id="t",
    queue="q",
    input={},
    workflow_id="w",
    step_id="s",
    step_type="s",
    attempt=1,
    offered_at=NOW,
    deadline_at=None,
)

READABLE = msgspec.json.encode({"v": 1, "at": NOW, "meta": metadata(), "data": {}})

UNREADABLE = {
    "a kind of event that is new": ("job.invented_later", READABLE),
    "a later schema of one that is known": (JobFired.TOPIC, READABLE.replace(b'"v":1', b'"v":99')),
    "what does not fit": (JobFired.TOPIC, b'{"v": 1, "data": 7}'),
}


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenLogs]:
    monkeypatch.setattr(watching, "_PAUSE_AFTER_A_FAILURE_SECONDS", 0.05)
    monkeypatch.setattr(task_news, "_POLL_SECONDS", 0.05)
    with open_logs(sqlite_settings(tmp_path)) as logs, capture_logs():
        yield logs


@pytest.fixture(params=UNREADABLE)
def store_unreadable(request: pytest.FixtureRequest, logs: OpenLogs) -> Callable[[], object]:
    """What the newer release does."""
    topic, state = UNREADABLE[request.param]
    recorder = logs.open().recorder
    return partial(recorder.insert_events, [StoredEvent(f"{TENANT}/job/new", 1, topic, state)])


async def append(store: EventStore, stream: str, event: Event) -> None:
    await store.execute(
        stream, evolve=lambda _, event: event, decide=lambda _: [event], meta=metadata(), now=NOW
    )


async def test_who_watches_a_stream_is_told_on(
    logs: OpenLogs, store_unreadable: Callable[[], object]
) -> None:
    store = logs.store()
    watches = Watches(store, SharedReads(store), batch_size=10)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watches.run)
        with watches.of(STREAM) as watch:
            await watch.wait(5)
            store_unreadable()
            store.notice(None)
            with anyio.fail_after(5):
                await watch.wait(60)
            await append(store, STREAM, FIRED)
            with anyio.fail_after(5):
                await watch.wait(60)
        tasks.cancel_scope.cancel()


async def test_who_waits_for_a_task_is_told_on(
    logs: OpenLogs, store_unreadable: Callable[[], object]
) -> None:
    store = logs.store()
    news = TaskNews(store, SharedReads(store))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(news.run)
        with Ear(news, (TENANT, "q"), 1) as ear:
            await anyio.sleep(0.1)
            store_unreadable()
            store.notice(None)
            await anyio.sleep(0.2)
            await append(store, f"{TENANT}/task/t", OFFERED)
            assert await ear.next(5) == [("t", 1)]
        tasks.cancel_scope.cancel()
