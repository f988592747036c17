"""What only the log in Cosmos DB does: its limits, its order a tenant, and batches that are sent again."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError
from eventsourcing.persistence import IntegrityError, StoredEvent
from structlog.testing import capture_logs

from application.audit.chain import Head, beginning_of, link_after
from application.event_log import EventLog, Fill
from application.event_store import EventStore
from application.log_copy import Entry
from domain.errors import StoreUnavailable, TooMuchAtOnce
from infrastructure.cosmos.ends import ORDER_ID, end_of
from infrastructure.cosmos.fills import Fills
from infrastructure.cosmos.log_container import Lost
from infrastructure.cosmos.recorder import CosmosLogRecorder
from infrastructure.cosmos.threaded import Refused
from tests.application.logs import LostAnswer, OpenLogs, cosmos_settings, open_logs
from tests.application.test_event_store import append, runs_of
from tests.builders import OTHER_TENANT, TENANT, metadata
from tests.cosmos import Account

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, pytest.mark.filterwarnings("ignore:Unverified HTTPS")]

STREAM = f"{TENANT}/job/one"


@pytest.fixture
def logs(cosmos: Account) -> Iterator[OpenLogs]:
    with open_logs(cosmos_settings(cosmos)) as logs:
        yield logs


@pytest.fixture
def log(logs: OpenLogs) -> EventLog:
    return logs.open()


def recorder_of(log: EventLog) -> CosmosLogRecorder:
    assert isinstance(log.recorder, CosmosLogRecorder)
    return log.recorder


def events(number: int, *, first: int = 1, stream: str = STREAM, state: bytes = b"{}") -> list[StoredEvent]:
    return [StoredEvent(stream, first + each, "topic", state) for each in range(number)]


async def test_a_batch_that_is_sent_again_since_its_answer_was_lost_is_stored_once(log: EventLog) -> None:
    store = EventStore(log)
    await append(store, "a")
    timed_out = CosmosHttpResponseError(408, "Request timed out")  # type: ignore[no-untyped-call]
    lost = LostAnswer(log, timed_out)
    lost.arm()
    committed = await append(store, "b", meta=metadata())
    assert lost.lost == 1
    assert committed.version == 2
    assert runs_of(await store.load(STREAM)) == ["a", "b"]


@pytest.mark.parametrize(
    "too_much",
    [events(100), events(2, state=b"x" * 1_000_000)],
    ids=["more events than a batch has operations", "more bytes than a batch takes"],
)
def test_what_no_batch_takes_is_refused_before_anything_is_written(
    log: EventLog, too_much: list[StoredEvent]
) -> None:
    recorder = recorder_of(log)
    with pytest.raises(TooMuchAtOnce, match="than one transaction of Cosmos DB takes"):
        recorder.insert_events(too_much)
    assert recorder.newest(TENANT) is None
    assert recorder.select_events(STREAM) == []
    assert recorder.insert_events(events(99)) == list(range(1, 100))


def test_appends_that_do_not_go_into_one_batch_go_into_several(log: EventLog) -> None:
    appends = [events(60, stream=f"{TENANT}/job/{each}") for each in range(3)]
    answers = recorder_of(log).append_together([*appends, events(100, stream=f"{TENANT}/job/4")])
    assert list(answers[:3]) == [list(range(1 + n, 61 + n)) for n in (0, 60, 120)]
    assert isinstance(answers[3], TooMuchAtOnce)


def test_an_append_that_lost_its_race_does_not_take_its_neighbours_with_it(log: EventLog) -> None:
    recorder = recorder_of(log)
    recorder.insert_events(events(1))
    others = [events(1, stream=f"{tenant}/job/two") for tenant in (TENANT, OTHER_TENANT)]
    first, lost, last = recorder.append_together([others[0], events(1), others[1]])
    assert (first, last) == ([2], [1])
    assert isinstance(lost, IntegrityError)


def test_an_event_whose_predecessor_is_gone_is_not_stored(log: EventLog) -> None:
    recorder = recorder_of(log)
    with pytest.raises(IntegrityError):
        recorder.insert_events(events(1, first=2))
    assert recorder.newest(TENANT) is None


def test_two_processes_append_to_one_tenant_without_gaps(logs: OpenLogs) -> None:
    here, there = recorder_of(logs.open()), recorder_of(logs.open())
    numbers: list[int] = []
    for each in range(6):
        numbers += (here, there)[each % 2].insert_events(events(1, stream=f"{TENANT}/job/{each}")) or []
    assert numbers == [1, 2, 3, 4, 5, 6]
    there.look_for_tenants()
    assert there.partitions() == (TENANT,)


def test_the_chain_goes_on_from_append_to_append_over_the_stored_bytes(log: EventLog) -> None:
    recorder = recorder_of(log)
    recorder.insert_events(events(2, state=b'{"a": "\xc3\xa4"}'))
    recorder.insert_events(events(1, first=3, state=b"\xff"))
    head = beginning_of(TENANT)
    for each in recorder.select_after(TENANT, 0, 10):
        entry = Entry(each.id, STREAM, each.originator_version, each.topic, each.state)
        link = link_after(head, entry)
        head = Head(tenant=TENANT, number=link.number, position=each.id, chain=link.chain)
    end = end_of(TENANT, recorder._container.read(TENANT, ORDER_ID)).head
    assert (end.number, end.position, end.chain) == (3, 3, head.chain)
    assert [each.state for each in recorder.select_events(STREAM)][2] == b"\xff"


def test_the_numbers_of_an_append_are_not_interleaved_with_those_of_another(logs: OpenLogs) -> None:
    recorders = [recorder_of(logs.open()) for _ in range(3)]

    def write(writer: int) -> list[list[int]]:
        stream = f"{TENANT}/job/{writer}"
        return [
            list(recorders[writer].insert_events(events(20, first=1 + 20 * each, stream=stream)) or ())
            for each in range(4)
        ]

    with ThreadPoolExecutor(3) as threads:
        written = [numbers for answer in threads.map(write, range(3)) for numbers in answer]
    assert all(numbers == list(range(numbers[0], numbers[0] + 20)) for numbers in written)
    assert sorted(number for numbers in written for number in numbers) == list(range(1, 241))


@pytest.mark.parametrize(
    "failure",
    [
        StoreUnavailable("403 Partition key reached maximum size of 20 GB"),
        Lost(Refused(412, 0), misses_what_it_follows=False),
    ],
    ids=["the account does not take it", "others are first again and again"],
)
def test_a_tenant_that_is_refused_does_not_take_the_others_with_it(
    log: EventLog, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.cosmos.appends._RACING_SECONDS", 0)
    recorder = recorder_of(log)
    store = recorder._container.store

    def refuse_one(partition: str, *arguments: Any, **keywords: Any) -> str:
        if partition == TENANT:
            raise failure
        return store(partition, *arguments, **keywords)

    monkeypatch.setattr(recorder._container, "store", refuse_one)
    names = (f"{TENANT}/job/one", f"{OTHER_TENANT}/job/one", f"{TENANT}/job/two")
    refused, stored, refused_too = recorder.append_together([events(1, stream=name) for name in names])
    assert isinstance(refused, StoreUnavailable)
    assert isinstance(refused_too, StoreUnavailable)
    assert stored == [1]


@pytest.mark.parametrize(("seconds_a_race", "races"), [(0.1, 20), (5.0, 10)], ids=["quick", "slow"])
def test_a_tenants_order_is_given_up_by_the_clock_and_not_before_some_races(
    log: EventLog, seconds_a_race: float, races: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recorder_of(log)
    now, lost = [0.0], Lost(Refused(412, 0), misses_what_it_follows=False)

    def lose(*_: Any, **__: Any) -> str:
        now[0] += seconds_a_race
        raise lost

    monkeypatch.setattr("infrastructure.cosmos.appends.monotonic", lambda: now[0])
    monkeypatch.setattr("infrastructure.cosmos.appends.sleep", lambda _: None)
    monkeypatch.setattr(recorder._container, "store", lose)
    with pytest.raises(StoreUnavailable, match=f"{races} appends lost the race"):
        recorder.insert_events(events(1))


def test_the_bytes_of_a_partition_are_counted_as_they_are_stored(logs: OpenLogs) -> None:
    here = recorder_of(logs.open())
    assert here.fullest() is None
    here.insert_events(events(3, state='{"a": "ä"}'.encode() * 50))
    here.insert_events(events(2, first=4))
    here.insert_events(events(1, stream=f"{OTHER_TENANT}/job/one"))
    stored = here._container.query(TENANT, "FROM c WHERE c.position > 0", {})
    size = sum(len(json.dumps(item, ensure_ascii=False).encode()) for item in stored)
    fill = here.fullest()
    assert fill is not None
    assert fill.events == 5
    assert fill.bytes == pytest.approx(size, rel=0.1)
    there = recorder_of(logs.open())
    there.newest(TENANT)
    assert there.fullest() == fill


def test_events_that_an_earlier_release_did_not_count_are_taken_for_as_large_as_others(log: EventLog) -> None:
    recorder = recorder_of(log)
    recorder.insert_events(events(4))
    order = recorder._container.read(TENANT, ORDER_ID)
    assert order is not None
    whole = end_of(TENANT, order).fill
    uncounted = {name: value for name, value in order.items() if name not in ("size_", "sized_")}
    recorder._container.put(uncounted)
    recorder._appends._ends.clear()
    recorder.newest(TENANT)
    assert recorder.fullest() == Fill(4, 0, whole.most_bytes)
    recorder.insert_events(events(1, first=5))
    fill = recorder.fullest()
    assert fill is not None
    assert fill.bytes == pytest.approx(whole.bytes * 5 / 4, rel=0.02)


def test_of_a_partition_that_fills_the_log_tells_at_each_further_percent() -> None:
    fills = Fills()
    with capture_logs() as told:
        for size in (499, 500, 505, 500, 510):
            fills.note(TENANT, Fill(7, size, 1000))
    assert [each["percent"] for each in told] == [50, 51]
    assert {each["tenant"] for each in told} == {TENANT}
