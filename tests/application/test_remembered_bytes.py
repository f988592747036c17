"""What a process remembers of the log is bounded by its bytes, not by the number of events alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from application.event_store import EventStore
from application.log_batches import ORDINARY_BYTES
from application.pasts import Pasts
from application.shared_reads import SharedReads
from domain.event import Event
from domain.job import JobFired
from tests.application.logs import CountingStore, open_logs, sqlite_settings
from tests.builders import NOW, TENANT, metadata

pytestmark = pytest.mark.anyio

LARGE = 100
"""Ordinary events that a large one weighs."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CountingStore]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        store = CountingStore(logs.open())
        yield store
        store.close()


async def append(store: EventStore, stream: str, events: int = 1) -> None:
    large = {"rows": "x" * (LARGE * ORDINARY_BYTES)}
    fired = JobFired(job="j", run_id="r", triggered_by="manual", fired_at=NOW, metadata=large)
    for _ in range(events):
        await store.execute(
            f"{TENANT}/job/{stream}", evolve=evolve, decide=lambda _: [fired], meta=metadata(), now=NOW
        )


def evolve(state: object, event: Event) -> Event:
    return event


def remembered(pasts: Pasts) -> list[str]:
    return [stream.rpartition("/")[2] for stream in pasts._remembered]


@pytest.mark.parametrize("read", [False, True], ids=["appended", "read"])
async def test_fewer_large_streams_are_remembered_than_small_ones(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch, read: bool
) -> None:
    pasts = store._pasts
    monkeypatch.setattr(pasts, "_most", 3 * LARGE + LARGE // 2)
    for stream in "abcde":
        await append(store, stream)
    if read:
        pasts._remembered.clear()
        pasts._weight = 0
        for stream in "abcde":
            await store.present(f"{TENANT}/job/{stream}", evolve)
    assert remembered(pasts) == ["c", "d", "e"]
    assert 3 * LARGE <= pasts._weight < 4 * LARGE


async def test_the_last_one_is_remembered_however_large(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pasts = store._pasts
    monkeypatch.setattr(pasts, "_most", LARGE)
    await append(store, "a", events=3)
    await append(store, "b")
    assert remembered(pasts) == ["b"]
    await append(store, "a")
    assert remembered(pasts) == ["a"]
    assert pasts._weight >= 4 * LARGE


@pytest.mark.parametrize("appended", [False, True], ids=["read", "appended"])
async def test_readers_share_fewer_large_batches_than_small_ones(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch, appended: bool
) -> None:
    monkeypatch.setattr("application.shared_reads._KEPT_EVENTS", 3 * LARGE + LARGE // 2)
    shared = SharedReads(store)
    position = None
    if appended:
        await append(store, "first")
        position = (await shared.read("log", None, 1) or pytest.fail("nothing there")).position
        await shared.read("log", position, 1)
    for stream in "abcde":
        await append(store, stream)
    if not appended:
        for _ in range(5):
            position = (await shared.read("log", position, 1) or pytest.fail("nothing there")).position
    assert len(shared._batches) == 3
    assert 3 * LARGE <= shared._kept < 4 * LARGE
