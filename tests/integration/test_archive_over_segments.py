"""Archives of streams that lie in several segments of a log in Cosmos DB, broken off at every batch."""

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync
from eventsourcing.persistence import StoredEvent

from application.archived_state import is_archived
from application.event_log import EventLog
from application.log_copy import Entry
from config.commands.archives import restore
from config.commands.copy_log import copy_log
from config.settings import Settings
from infrastructure.cosmos.archive_log import CosmosArchiveLog
from infrastructure.cosmos.ended_streams import GATE_OPERATIONS
from infrastructure.cosmos.log_container import SEGMENT_BYTES, LogContainer
from infrastructure.cosmos.recorder import CosmosLogRecorder
from tests.application.logs import NO_ROOM, UNVERIFIED, cosmos_settings
from tests.archives import signing_settings
from tests.audit_trail import kinds, verified_store
from tests.cosmos import Account
from tests.harness import TENANT
from tests.infrastructure.cosmos_places import Place, place_in, place_with_leases
from tests.integration.test_archive_in_cosmos import (
    append,
    archived,
    archived_begun_only,
    environ_of,
    opened,
    refuses,
    stored,
)

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, UNVERIFIED]


class BrokenOff(Exception):
    """As by kill -9."""


@pytest.fixture
async def place(plain_cosmos: Account) -> AsyncIterator[Place]:
    async with place_with_leases(plain_cosmos) as place:
        yield place


@pytest.fixture
def settings(place: Place, tmp_path: Path) -> Settings:
    return signing_settings(tmp_path, **environ_of(place))


@pytest.fixture(params=[NO_ROOM, SEGMENT_BYTES], ids=["a segment an event", "one segment"])
def log(request: pytest.FixtureRequest, place: Place) -> Iterator[EventLog]:
    log = EventLog(cosmos_settings(place.account, place.name, segment_bytes=request.param))
    yield log
    log.close()


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infrastructure.cosmos.transactions.MOST_OPERATIONS", 3 + GATE_OPERATIONS)


def appended(log: EventLog, number: int) -> str:
    """An approval of four events in four segments."""
    recorder = log.recorder
    assert isinstance(recorder, CosmosLogRecorder)
    insert = recorder.insert_events

    def one_by_one(events: Sequence[StoredEvent]) -> None:
        for event in events:
            insert([event])

    recorder.insert_events = one_by_one  # type: ignore[method-assign, assignment]
    try:
        return append(log, number, comments=2)
    finally:
        recorder.insert_events = insert  # type: ignore[method-assign]


def broken_off(monkeypatch: pytest.MonkeyPatch, *, behind: int) -> None:
    """After so many batches."""
    batch, seen = CosmosArchiveLog._batch, [0]

    async def until(self: CosmosArchiveLog, *given: Any) -> int | None:
        if seen[0] == behind:
            raise BrokenOff
        seen[0] += 1
        return await batch(self, *given)

    monkeypatch.setattr(CosmosArchiveLog, "_batch", until)


async def until_whole(monkeypatch: pytest.MonkeyPatch, again: Any, look: Any) -> int:
    """Begin again and again, each time broken off one batch later; how often it was."""
    for behind in range(30):
        with monkeypatch.context() as patch:
            broken_off(patch, behind=behind)
            try:
                await again()
            except BrokenOff:
                await look()
                continue
            return behind
    raise AssertionError("it comes to no end")


async def test_it_goes_and_comes_back_and_nobody_goes_on_with_half_of_it(
    log: EventLog, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = [await run_sync(appended, log, number) for number in range(2)]
    before, out = await stored(settings), tmp_path / "archives"

    async def nothing_is_lost() -> None:
        now = await stored(settings)
        assert [(each.stream, each.version) for each in now] == [(e.stream, e.version) for e in before]
        assert kinds(await verified_store(settings, tmp_path / "key.pub")) == []

    times = await until_whole(monkeypatch, lambda: archived(settings, out), nothing_is_lost)
    assert times >= 3, "marks, the first events, the last ones, and those between"
    after = await stored(settings)
    assert all(is_archived(each.state) for each in after)
    for stream in streams:
        assert await run_sync(refuses, log, stream, 4)
    assert kinds(await verified_store(settings, tmp_path / "key.pub")) == []
    (file,) = out.glob("*.gz*")

    await moved_and_back(settings, file, after, before, tmp_path)

    times = await until_whole(monkeypatch, lambda: restore(settings, [file], ()), nothing_is_lost)
    assert times >= 3
    assert await stored(settings) == before
    for stream in streams:
        going_on = StoredEvent(stream, 5, before[-1].topic, before[-1].state)
        await run_sync(log.recorder.insert_events, [going_on])
    assert len(await stored(settings)) == 10


@pytest.mark.parametrize("log", [NO_ROOM], indirect=True)
async def test_a_mark_does_not_come_into_a_segment_that_was_closed_meanwhile(
    log: EventLog, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who appends then has looked for marks there already."""
    stream = await run_sync(appended, log, 1)
    last = (await stored(settings))[-1]
    batch, marks = CosmosArchiveLog._batch, list[tuple[str, int | None]]()

    async def closed_before(self: CosmosArchiveLog, partition: str, operations: Any) -> int | None:
        if not marks:
            somebody = StoredEvent(f"{TENANT}/job/other", 1, last.topic, last.state)
            await run_sync(log.recorder.insert_events, [somebody])
        refused = await batch(self, partition, operations)
        if any(name == "create" and "ended" in given[0] for name, given, _ in operations):
            marks.append((partition, refused))
        return refused

    monkeypatch.setattr(CosmosArchiveLog, "_batch", closed_before)
    await archived(settings, tmp_path / "archives")
    assert marks == [(f"{TENANT}~3", 0), (f"{TENANT}~4", None)]
    assert await run_sync(refuses, log, stream, 4)


async def test_a_mark_that_is_missing_comes_again(
    log: EventLog, place: Place, settings: Settings, tmp_path: Path
) -> None:
    """Another archive of the same may have taken it away."""
    stream = await run_sync(appended, log, 1)
    out = tmp_path / "archives"
    await archived(settings, out)
    container = log.recorder._container  # type: ignore[attr-defined]
    last = container.segments_of(TENANT)[-1]
    (mark,) = container.query(last, "FROM c WHERE IS_DEFINED(c.ended)", {})
    container.batch(last, [("delete", (mark["id"],), {})])
    (file,) = out.iterdir()
    file.rename(file.with_name(f"{file.name}.pending"))
    await archived_begun_only(settings, out)
    assert await run_sync(refuses, log, stream, 4)


@pytest.mark.parametrize("log", [NO_ROOM], indirect=True)
async def test_batches_whose_answers_are_lost_are_seen_to_be_done_however_many_they_are(
    log: EventLog, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that is sent again is in its own way."""
    for number in range(4):
        await run_sync(appended, log, number)
    before, batch, sent = await stored(settings), CosmosArchiveLog._batch, list[int]()

    async def refused_after_all(self: CosmosArchiveLog, *given: Any) -> int | None:
        sent.append(1)
        await batch(self, *given)
        return 0

    monkeypatch.setattr(CosmosArchiveLog, "_batch", refused_after_all)
    await archived(settings, tmp_path / "archives")
    assert all(is_archived(each.state) for each in await stored(settings))
    assert len(sent) > 10
    (file,) = (tmp_path / "archives").iterdir()
    await restore(settings, [file], ())
    assert await stored(settings) == before


async def moved_and_back(
    settings: Settings, file: Path, after: Sequence[Entry], before: Sequence[Entry], tmp_path: Path
) -> None:
    """Into SQLite, and from there into a segment an event: what is archived is marked there too."""
    target = tmp_path / "elsewhere" / "events.db"
    target.parent.mkdir()
    await copy_log(settings, "cosmos://", f"sqlite:///{target}")
    cosmos = settings.cosmos_db
    account = Account(str(cosmos.endpoint), cosmos.key.get_secret_value())
    async with place_in(account) as other:
        moved = signing_settings(tmp_path / "moved", **environ_of(other))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("infrastructure.cosmos.tenant_writer.MOST_OPERATIONS", 2)
            patch.setattr(LogContainer, "is_full", lambda self, end: True)
            await copy_log(moved, f"sqlite:///{target}", "cosmos://")
        assert await stored(moved) == after
        there = await run_sync(opened, other)
        assert len(there.recorder._container.segments_of(TENANT)) == len(before)  # type: ignore[attr-defined]
        for stream in {each.stream for each in before}:
            assert await run_sync(refuses, there, stream, 4)
        await restore(moved, [file], [tmp_path / "key.pub"])
        assert await stored(moved) == before
        there.close()
