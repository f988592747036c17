"""A stream of large events is read a batch at a time on every store, and comes to the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from application.deciders import Committed
from application.event_log import EventLog
from application.event_store import EventStore
from application.log_batches import BATCH_BYTES, PAGE_BYTES
from application.pasts import Past, Pasts
from domain.event import Event
from domain.job import JobFired
from infrastructure.sqlite.recorder import LogRecorder
from tests.application.logs import SEGMENTS, STORES, OpenLogs, open_logs, settings_of, sqlite_settings
from tests.builders import NOW, TENANT, metadata, recorded
from tests.large_events import A_BATCH, MIB

pytestmark = pytest.mark.anyio

A_PAGE = PAGE_BYTES // MIB
EVENTS = 2 * A_BATCH + 1


@pytest.fixture(params=[*STORES, SEGMENTS])
def logs(request: pytest.FixtureRequest) -> Iterator[OpenLogs]:
    """A log on each store; in Cosmos DB also one in which each append begins a segment."""
    with open_logs(settings_of(request.param, request)) as logs:
        yield logs


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[OpenLogs]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield logs


def stream(name: str = "a") -> str:
    return f"{TENANT}/job/{name}"


def run(number: int, size: int = MIB) -> JobFired:
    rows = {"rows": "x" * size}
    return JobFired(job="j", run_id=str(number), triggered_by="manual", fired_at=NOW, metadata=rows)


def fill(log: EventLog, name: str = "a", events: int = EVENTS, *, size: int = MIB) -> None:
    for each in recorded(stream(name), [run(number, size) for number in range(1, events + 1)]):
        log.recorder.insert_events([log.stored(each)])


async def append(store: EventStore, number: int) -> Committed:
    return await store.execute(
        stream(), evolve=runs, decide=lambda _: [run(number)], meta=metadata(), now=NOW
    )


def runs(state: tuple[str, ...] | None, event: Event) -> tuple[str, ...]:
    assert isinstance(event, JobFired)
    return (*(state or ()), event.run_id)


def numbers(first: int, last: int) -> tuple[str, ...]:
    return tuple(map(str, range(first, last + 1)))


def past_of(found: Past | Exception) -> Past:
    assert isinstance(found, Past), found
    return found


def test_streams_come_a_batch_at_a_time_in_the_order_in_which_they_were_asked_for(logs: OpenLogs) -> None:
    log = logs.open()
    fill(log, "b", A_BATCH + 2)
    fill(log, "a", A_BATCH + 1)
    fill(log, "c", 3, size=10)
    asked = {stream("b"): 1, stream("nobody"): 0, stream("a"): 0, stream("c"): 2}
    parts = [[(each.originator_id, each.originator_version) for each in part] for part in log.in_parts(asked)]
    of_b = [(stream("b"), version) for version in range(2, A_BATCH + 3)]
    of_a = [(stream("a"), version) for version in range(1, A_BATCH + 2)]
    wanted = [*of_b, *of_a, (stream("c"), 3)]
    assert parts == [wanted[:A_BATCH], wanted[A_BATCH : 2 * A_BATCH], wanted[2 * A_BATCH :]]
    assert [len(part) for part in log.in_parts({stream("c"): 0, stream("a"): A_BATCH})] == [4]
    assert list(log.in_parts({})) == []


def test_a_batch_of_streams_has_so_many_events(logs: OpenLogs) -> None:
    log = logs.open()
    fill(log, "a", 3, size=10)
    fill(log, "b", 3, size=10)
    found = log.ours.select_streams({stream("a"): 0, stream("b"): 0}, 4)
    assert [(each.originator_id, each.originator_version) for each in found] == [
        *((stream("a"), version) for version in (1, 2, 3)),
        (stream("b"), 1),
    ]
    assert [each.originator_version for each in log.ours.select_streams({stream("a"): 1}, 1)] == [2]


async def test_what_a_stream_has_come_to_is_folded_out_of_all_its_parts(logs: OpenLogs) -> None:
    fill(logs.open())
    store = logs.store()
    past = await store.present(stream(), runs)
    assert (past.version, past.state) == (EVENTS, numbers(1, EVENTS))
    assert past.events is None, "so many bytes are not kept"
    assert past.size >= EVENTS * MIB
    await append(store, EVENTS + 1)
    assert (await logs.store().present(stream(), runs)).state == numbers(1, EVENTS + 1)


async def test_a_stream_that_is_remembered_goes_on_over_several_parts(logs: OpenLogs) -> None:
    log = logs.open()
    pasts = Pasts(log, most=10_000)
    fill(log, "a", 2)
    fill(log, "b", 1)
    assert past_of(pasts.read({stream("a"): runs})[stream("a")]).events is not None
    for name, before, last in (("a", 2, EVENTS), ("b", 1, A_BATCH)):
        for each in recorded(stream(name), [run(number) for number in range(1, last + 1)])[before:]:
            log.recorder.insert_events([log.stored(each)])
    found = pasts.read({stream("a"): runs, stream("b"): runs})
    assert past_of(found[stream("a")]).state == numbers(1, EVENTS)
    assert past_of(found[stream("b")]).state == numbers(1, A_BATCH)
    remembered = pasts.remembered(stream("a"))
    assert remembered is not None
    assert (remembered.version, remembered.events) == (EVENTS, None)


async def test_a_stream_is_loaded_in_parts(logs: OpenLogs) -> None:
    fill(logs.open())
    store = logs.store()
    assert [len(part) async for part in store.parts_of(stream())] == [A_BATCH, A_BATCH, 1]
    assert [len(part) async for part in store.parts_of(stream(), A_BATCH + 1)] == [A_BATCH, 1]
    assert [each.version for each in await store.load(stream())] == list(range(1, EVENTS + 1))
    first = await store.read_stream(stream(), after=1, limit=50)
    assert (len(first.events), first.is_cut) == (A_BATCH, True)
    last = await store.read_stream(stream(), after=EVENTS - 1, limit=50)
    assert (len(last.events), last.is_cut) == (1, False)
    assert [part async for part in store.parts_of(stream("nobody"))] == []


async def test_what_a_command_has_left_behind_is_loaded_where_it_is_not_kept(logs: OpenLogs) -> None:
    fill(logs.open(), "a", A_BATCH)
    store = logs.store()
    committed = await append(store, A_BATCH + 1)
    fill_on = recorded(stream(), [run(number) for number in range(1, A_BATCH + 3)])[-1:]
    store._log.recorder.insert_events([store._log.stored(each) for each in fill_on])
    parts = [part async for part in store.parts_left_by(committed)]
    assert [len(part) for part in parts] == [A_BATCH, 1]
    assert parts[-1][-1].version == committed.version == A_BATCH + 1


async def test_a_page_of_a_streams_history_has_so_many_bytes(logs: OpenLogs) -> None:
    fill(logs.open())
    store = logs.store()
    seen: list[int] = []
    before = None
    while before != 1:
        events, version = await store.history(stream(), before=before, limit=50)
        assert version == EVENTS
        assert len(events) == (A_PAGE if before != 2 else 1)
        seen += [each.version for each in events]
        before = events[-1].version
    assert seen == list(range(EVENTS, 0, -1))
    short, _ = await store.history(stream(), before=EVENTS, limit=1)
    assert [each.version for each in short] == [EVENTS - 1]


async def test_a_stream_is_read_anew_where_the_log_became_another_between_two_parts(
    on_sqlite: OpenLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = on_sqlite.open()
    fill(log)
    pasts, switches, asked = Pasts(log, most=10_000), [0], list[dict[str, int]]()
    select = LogRecorder.select_streams

    def switching(recorder: LogRecorder, streams: Any, *limit: Any) -> Any:
        asked.append(dict(streams))
        if len(asked) == 2:
            switches[0] += 1
        return select(recorder, streams, *limit)

    monkeypatch.setattr(LogRecorder, "select_streams", switching)
    monkeypatch.setattr(LogRecorder, "switches", property(lambda _: switches[0]))
    assert past_of(pasts.read({stream(): runs})[stream()]).state == numbers(1, EVENTS)
    assert [each[stream()] for each in asked] == [0, A_BATCH, 2 * A_BATCH] * 2


async def test_a_large_stream_is_remembered_without_its_events(on_sqlite: OpenLogs) -> None:
    log = on_sqlite.open()
    store = EventStore(log)
    try:
        for number in range(1, A_BATCH + 2):
            past = (await append(store, number)).past
            remembered = store._pasts.remembered(stream())
            assert remembered is not None
            assert (remembered.version, remembered.state) == (number, past.state)
            assert (remembered.events is None) == (remembered.size > BATCH_BYTES) == (number >= A_BATCH)
    finally:
        store.close()
