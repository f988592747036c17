"""A tenant's log that goes on in another partition of Cosmos DB: one order, one chain, each version once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceNotFoundError
from eventsourcing.persistence import IntegrityError, StoredEvent

from application.audit.chain import Head, beginning_of, link_after
from application.event_log import EventLog, Place
from application.log_copy import Entry
from domain.errors import StoreUnavailable
from domain.values import is_uuid
from infrastructure.cosmos.ends import GATE_ID, ORDER_ID, gate
from infrastructure.cosmos.items import Operation
from infrastructure.cosmos.log_container import LogContainer
from infrastructure.cosmos.recorder import CosmosLogRecorder
from infrastructure.cosmos.segments import Segments
from infrastructure.cosmos.threaded import Refused
from tests.application.logs import NO_ROOM, LostAnswer, OpenLogs, cosmos_settings, open_logs
from tests.builders import OTHER_TENANT, TENANT
from tests.cosmos import Account

pytestmark = [pytest.mark.cosmos, pytest.mark.filterwarnings("ignore:Unverified HTTPS")]


@pytest.fixture
def logs(cosmos: Account) -> Iterator[OpenLogs]:
    """Each append begins a segment."""
    with open_logs(cosmos_settings(cosmos, segment_bytes=NO_ROOM)) as logs:
        yield logs


@pytest.fixture
def recorder(logs: OpenLogs) -> CosmosLogRecorder:
    return recorder_of(logs.open())


def recorder_of(log: EventLog) -> CosmosLogRecorder:
    assert isinstance(log.recorder, CosmosLogRecorder)
    return log.recorder


def event(id: str, version: int, tenant: str = TENANT) -> StoredEvent:
    return StoredEvent(f"{tenant}/job/{id}", version, "topic", f'{{"{id}": {version}}}'.encode())


def names(found: Any) -> list[str]:
    return [f"{each.originator_id[-1]}{each.originator_version}" for each in found]


def test_the_order_and_the_chain_lead_through_all_segments(recorder: CosmosLogRecorder) -> None:
    for id, version in (("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2)):
        recorder.insert_events([event(id, version)])
    recorder.insert_events([event("a", 1, OTHER_TENANT)])
    container = recorder._container
    partitions = container.segments_of(TENANT)
    assert partitions == [TENANT, *(f"{TENANT}~{number}" for number in range(1, 5))]
    assert container.segments_of(OTHER_TENANT) == [OTHER_TENANT]
    assert [len(container.query(each, "FROM c WHERE c.version > 0", {})) for each in partitions] == [1] * 5
    found = recorder.select_after(TENANT, 0, 100)
    assert names(found) == ["a1", "b1", "a2", "a3", "b2"]
    assert [each.id for each in found] == [1, 2, 3, 4, 5]
    head = beginning_of(TENANT)
    for each in found:
        entry = Entry(each.id, str(each.originator_id), each.originator_version, each.topic, each.state)
        link = link_after(head, entry)
        head = Head(tenant=TENANT, number=link.number, position=each.id, chain=link.chain)
    end = container.end(TENANT).head
    assert (end.number, end.position, end.chain) == (5, 5, head.chain)


def test_it_is_read_from_anywhere_in_pages_of_any_size(logs: OpenLogs, recorder: CosmosLogRecorder) -> None:
    for version in range(1, 8):
        recorder.insert_events([event("a", version)])
    for reader in (recorder, recorder_of(logs.open())):
        for after in range(9):
            for limit in (1, 2, 3, 9):
                found = [each.id for each in reader.select_after(TENANT, after, limit)]
                assert found == list(range(after + 1, 8))[:limit], (after, limit)
            place = reader.at_each({TENANT: after})[TENANT]
            assert isinstance(place, Place) == (1 <= after <= 7)
            assert not isinstance(place, Place) or place.id == after


def test_a_stream_is_read_over_its_segments(logs: OpenLogs, recorder: CosmosLogRecorder) -> None:
    for version in range(1, 6):
        recorder.insert_events([event("a", version)])
        recorder.insert_events([event(f"{version}", 1)])
    for reader in (recorder, recorder_of(logs.open())):
        for gt in (None, 1, 3, 5):
            for lte in (None, 0, 2, 4):
                for desc in (False, True):
                    for limit in (None, 1, 2):
                        given: dict[str, Any] = {"gt": gt, "lte": lte, "desc": desc, "limit": limit}
                        wanted = [
                            each for each in range(1, 6) if each > (gt or 0) and (lte is None or each <= lte)
                        ]
                        found = reader.select_events(f"{TENANT}/job/a", **given)
                        versions = [each.originator_version for each in found]
                        assert versions == (wanted[::-1] if desc else wanted)[:limit], given
    assert recorder.select_events(f"{TENANT}/job/nobody") == []


def test_a_stream_that_has_not_gone_on_is_not_looked_for_in_what_was_before_its_last_event(
    recorder: CosmosLogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id, version in (("a", 1), ("b", 1), ("a", 2), ("b", 2)):
        recorder.insert_events([event(id, version)])
    asked: list[str] = []
    query = LogContainer.query

    def counted(self: LogContainer, partition: str, *arguments: Any, **given: Any) -> Any:
        asked.append(partition)
        return query(self, partition, *arguments, **given)

    monkeypatch.setattr(LogContainer, "query", counted)
    assert recorder.select_events(f"{TENANT}/job/a", gt=2) == []
    assert asked == [f"{TENANT}~3", f"{TENANT}~2"]


def test_many_streams_of_a_tenant_are_read_with_one_look_at_its_order(
    recorder: CosmosLogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id in "abc":
        recorder.insert_events([event(id, 1)])
    recorder.insert_events([event("a", 1, OTHER_TENANT)])
    looks: list[str] = []
    end = LogContainer.end

    def counted(self: LogContainer, tenant: str) -> Any:
        looks.append(tenant)
        return end(self, tenant)

    monkeypatch.setattr(LogContainer, "end", counted)
    wanted = {f"{TENANT}/job/{id}": 0 for id in "abc"} | {f"{OTHER_TENANT}/job/a": 0}
    found = recorder.select_streams(wanted)
    assert {str(each.originator_id) for each in found} == set(wanted)
    assert sorted(looks) == sorted([TENANT, OTHER_TENANT])


def test_a_version_is_there_once_whatever_segment_it_is_in(
    logs: OpenLogs, recorder: CosmosLogRecorder
) -> None:
    for id, version in (("a", 1), ("a", 2), ("b", 1), ("c", 1)):
        recorder.insert_events([event(id, version)])
    for writer in (recorder, recorder_of(logs.open())):
        for refused in (("a", 1), ("a", 2), ("b", 1), ("c", 1), ("a", 4), ("b", 3), ("d", 2)):
            with pytest.raises(IntegrityError):
                writer.insert_events([event(*refused)])
            with pytest.raises(IntegrityError):
                writer.insert_events([event("fresh", 1), event(*refused)])
    assert recorder.newest(TENANT) == (4, f"{TENANT}/job/c", 1)


def test_streams_that_were_begun_before_go_on_together_with_new_ones(recorder: CosmosLogRecorder) -> None:
    for id in "abc":
        recorder.insert_events([event(id, 1)])
    recorder.insert_events([event("b", 2), event("d", 1), event("a", 2), event("b", 3)])
    assert names(recorder.select_after(TENANT, 3, 9)) == ["b2", "d1", "a2", "b3"]
    appends = [[event("c", 2)], [event("a", 2)], [event("e", 1)]]
    first, taken, third = recorder.append_together(appends)
    assert (first, third) == ([8], [9])
    assert isinstance(taken, IntegrityError)


def test_who_does_not_know_of_a_new_segment_finds_it(logs: OpenLogs) -> None:
    here, there = recorder_of(logs.open()), recorder_of(logs.open())
    here.insert_events([event("a", 1)])
    assert names(there.select_after(TENANT, 0, 9)) == ["a1"]
    here.insert_events([event("a", 2)])
    assert names(there.select_after(TENANT, 1, 9)) == ["a2"]
    here.insert_events([event("a", 3)])
    here.insert_events([event("b", 1)])
    with pytest.raises(IntegrityError):
        there.insert_events([event("a", 3)])
    assert there.insert_events([event("a", 4)]) == [5]
    assert names(here.select_events(f"{TENANT}/job/a", gt=2)) == ["a3", "a4"]
    assert here.newest(TENANT) == (5, f"{TENANT}/job/a", 4)
    assert names(here.select_after(TENANT, 3, 9)) == ["b1", "a4"]


def test_who_knew_of_no_segment_reads_behind_a_position_that_it_was_told(logs: OpenLogs) -> None:
    """As an instance does that takes a share over."""
    here, there = recorder_of(logs.open()), recorder_of(logs.open())
    here.insert_events([event("a", 1)])
    assert names(there.select_after(TENANT, 0, 9)) == ["a1"]
    for version in (2, 3, 4):
        here.insert_events([event("a", version)])
    assert names(there.select_after(TENANT, 3, 9)) == ["a4"]


def test_who_knew_only_the_segment_before_finds_the_event_that_somebody_has_come_to(logs: OpenLogs) -> None:
    """Else a position would be taken for one of another log, and a share would begin anew."""
    here, there = recorder_of(logs.open()), recorder_of(logs.open())
    here.insert_events([event("a", 1)])
    assert there.newest(TENANT) == (1, f"{TENANT}/job/a", 1)
    here.insert_events([event("a", 2)])
    assert there.at_each({TENANT: 2}) == {TENANT: (2, f"{TENANT}/job/a", 2)}
    assert there.at_each({TENANT: 3}) == {TENANT: None}


def test_while_others_keep_a_full_segment_open_it_is_appended_to(
    logs: OpenLogs, recorder: CosmosLogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.insert_events([event("a", 1)])
    monkeypatch.setattr(LogContainer, "_close", lambda *_: None)
    assert recorder.insert_events([event("a", 2)]) == [2]
    assert recorder._container.segments_of(TENANT) == [TENANT]


def test_an_answer_about_no_item_is_not_taken_for_the_absence_of_one(
    recorder: CosmosLogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1002: what this client has seen cannot be read there for now. A version would be stored twice."""
    recorder.insert_events([event("a", 1)])
    recorder.insert_events([event("b", 1)])

    def not_available(*_: Any, **given: Any) -> Any:
        raise CosmosResourceNotFoundError(404, "later", sub_status=1002)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(recorder._container._container, "read_item", not_available)
    with pytest.raises(StoreUnavailable):
        recorder.insert_events([event("a", 1)])


def test_many_writers_of_several_processes_leave_no_gap(logs: OpenLogs) -> None:
    recorders = [recorder_of(logs.open()) for _ in range(3)]

    def write(writer: int) -> list[int]:
        return [
            number
            for version in range(1, 5)
            for number in recorders[writer % 3].insert_events([event(str(writer), version)]) or ()
        ]

    with ThreadPoolExecutor(6) as threads:
        written = list(threads.map(write, range(6)))
    assert sorted(number for numbers in written for number in numbers) == list(range(1, 25))
    assert all(numbers == sorted(numbers) for numbers in written)
    found = recorders[0].select_after(TENANT, 0, 100)
    assert [each.id for each in found] == list(range(1, 25))


def test_what_died_between_closing_and_the_next_append_is_gone_on_with(
    logs: OpenLogs, recorder: CosmosLogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.insert_events([event("a", 1)])

    def away(*_: Any, **given: Any) -> str:
        raise StoreUnavailable("away")

    monkeypatch.setattr(recorder._container, "store", away)
    with pytest.raises(StoreUnavailable):
        recorder.insert_events([event("a", 2)])
    for reader in (recorder, recorder_of(logs.open())):
        assert reader.newest(TENANT) == (1, f"{TENANT}/job/a", 1)
        assert names(reader.select_after(TENANT, 0, 9)) == ["a1"]
        assert reader.select_after(TENANT, 1, 9) == []
        assert names(reader.select_events(f"{TENANT}/job/a")) == ["a1"]
    assert recorder_of(logs.open()).insert_events([event("a", 2)]) == [2]
    assert names(recorder.select_after(TENANT, 1, 9)) == ["a2"]


@pytest.mark.parametrize("batch", [1, 2], ids=["closing", "the append behind it"])
def test_a_lost_answer_is_found_out(logs: OpenLogs, batch: int) -> None:
    log = logs.open()
    recorder = recorder_of(log)
    recorder.insert_events([event("a", 1)])
    timed_out = CosmosHttpResponseError(408, "Request timed out")  # type: ignore[no-untyped-call]
    lost = LostAnswer(log, timed_out)
    if batch == 1:
        lost.arm()
        assert recorder.insert_events([event("b", 1)]) == [2]
    else:
        recorder_of(logs.open())._container.with_room(recorder._appends._ends.pop(TENANT))
        lost.arm()
        with pytest.raises(IntegrityError):
            recorder.insert_events([event("b", 1)])
    assert lost.lost == 1
    assert names(recorder.select_after(TENANT, 0, 9)) == ["a1", "b1"]


def test_a_mark_and_the_closing_of_a_segment_exclude_each_other(recorder: CosmosLogRecorder) -> None:
    """Else an append that has looked for marks in closed segments might miss one that comes there later."""
    container = recorder._container
    recorder.insert_events([event("a", 1)])
    created: Operation = ("create", (gate(TENANT, is_closed=False),), {})
    etag = container.batch(TENANT, [created])[0]["eTag"]
    passing: Operation = (
        "replace",
        (GATE_ID, gate(TENANT, is_closed=False)),
        {"if_match_etag": str(etag)},
    )
    end = container.with_room(container.end(TENANT))
    assert end.segment == 1
    with pytest.raises(Refused):
        container.batch(TENANT, [passing])
    there = container.read(TENANT, GATE_ID)
    assert there is not None
    assert there["isClosed"]
    with pytest.raises(Refused):
        container.batch(TENANT, [created])


def test_a_release_that_knows_no_segments_cannot_append_to_a_closed_one(recorder: CosmosLogRecorder) -> None:
    """It would read ``number`` and ``position_`` and go on there: they are where it does not look."""
    recorder.insert_events([event("a", 1)])
    recorder.insert_events([event("a", 2)])
    closed, present = (recorder._container.read(each, ORDER_ID) for each in (TENANT, f"{TENANT}~1"))
    assert closed is not None
    assert present is not None
    assert {"number", "position_", "chain"} & closed.keys() == set()
    assert {"number", "position_", "chain"} <= present.keys()


def test_nobody_elses_tenant_has_a_segments_name() -> None:
    assert is_uuid(TENANT)
    assert not is_uuid(f"{TENANT}~1")


def test_what_is_known_is_not_forgotten_by_who_learns_of_something_older() -> None:
    segments = Segments()
    assert segments.holding(TENANT, 0) is None
    assert segments.learn(TENANT, 0, None) is not None
    segments.see(TENANT, 7)
    assert segments.learn(TENANT, 0, None) is not None
    assert segments.holding(TENANT, 7) == 0
    assert segments.holding(TENANT, 8) is None
