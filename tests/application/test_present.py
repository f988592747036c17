"""What a stream has come to, without a command."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from application.event_store import EventStore
from domain.event import Event
from domain.job import JobFired
from tests.application.logs import OpenLogs, open_logs, sqlite_settings
from tests.builders import NOW, metadata

pytestmark = pytest.mark.anyio

STREAM = "t/job/one"


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[OpenLogs]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield logs


class Fold:
    """Counts events, and how many it was shown."""

    def __init__(self) -> None:
        self.shown = 0

    def __call__(self, state: Any, event: Event) -> int:
        self.shown += 1
        return (state or 0) + 1


async def append(store: EventStore, fold: Fold) -> None:
    fired = JobFired(job="outcome-sync", run_id="r", triggered_by="manual", fired_at=NOW, metadata={})
    await store.execute(STREAM, evolve=fold, decide=lambda _: (fired,), meta=metadata(), now=NOW)


async def test_a_stream_that_is_not_there_has_come_to_nothing(logs: OpenLogs) -> None:
    assert (await logs.store().present(STREAM, Fold())).state is None


async def test_it_is_what_the_log_says_now_whoever_has_written_it(logs: OpenLogs) -> None:
    ours, others = logs.store(), logs.store()
    for count in (1, 2, 3):
        await append(others if count % 2 else ours, Fold())
        assert (await ours.present(STREAM, Fold())).state == count


async def test_what_is_remembered_is_not_read_again(logs: OpenLogs) -> None:
    store, fold = logs.store(), Fold()
    for _ in range(50):
        await append(store, fold)
    fold.shown = 0
    assert (await store.present(STREAM, fold)).state == 50
    assert fold.shown == 0


async def test_a_look_wakes_nobody(logs: OpenLogs) -> None:
    store = logs.store()
    await append(store, Fold())
    appends = store.appends("log")
    await store.present(STREAM, Fold())
    assert store.appends("log") == appends
