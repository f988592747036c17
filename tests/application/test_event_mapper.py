"""Recorded events to bytes and back, and the promise that what was stored can be read for ever."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any

import msgspec
import pytest
from eventsourcing.persistence import JSONTranscoder, StoredEvent

from application import event_mapper
from application.event_mapper import EventMapper, UnknownTopic
from domain.event import Event, Upcaster, stored_as, type_registry
from domain.job import JobRunFailed
from domain.values import is_uuid
from tests.application.golden import Golden, entry_of, load
from tests.builders import NOW, metadata, recorded
from tests.samples import META, SAMPLE_EVENT_ID, SAMPLES, STREAM
from tests.samples_older import OLDER

GOLDEN = load()
CURRENT = [each for each in GOLDEN if each.version == type_registry[each.topic].SCHEMA_VERSION]


def topic_of(golden: Golden) -> str:
    return f"{golden.topic}-{golden.version}"


@pytest.fixture
def mapper() -> EventMapper:
    return EventMapper(transcoder=JSONTranscoder())


@contextmanager
def stored_under(
    topic: str, cls: type[Event], version: int = 1, upcasters: dict[int, Upcaster] | None = None
) -> Iterator[None]:
    """Let ``cls`` stand for ``topic`` meanwhile, as after a change of the code."""
    before = type_registry.pop(topic, None)
    try:
        stored_as(topic, version=version, upcasters=upcasters)(cls)
        event_mapper._decoders.clear()
        yield
    finally:
        type_registry.pop(topic, None)
        if before is not None:
            type_registry[topic] = before
        event_mapper._decoders.clear()


def check_golden(mapper: EventMapper, golden: Golden) -> None:
    """What was stored loads into the same payload, and would be stored the same today."""
    loaded = mapper.to_domain_event(golden.stored)
    assert loaded == SAMPLES[golden.topic]
    assert mapper.to_stored_event(loaded).state.decode() == golden.state


@pytest.mark.parametrize("golden", GOLDEN, ids=topic_of)
def test_every_event_ever_stored_still_loads_into_its_type(mapper: EventMapper, golden: Golden) -> None:
    loaded = mapper.to_domain_event(golden.stored)
    assert type(loaded.event) is type_registry[golden.topic]
    assert (loaded.stream, loaded.version, loaded.timestamp, loaded.meta) == (STREAM, 3, NOW, META)
    assert loaded.event_id == SAMPLE_EVENT_ID


@pytest.mark.parametrize("golden", CURRENT, ids=topic_of)
def test_a_stored_event_loads_into_the_same_payload_and_is_stored_the_same(
    mapper: EventMapper, golden: Golden
) -> None:
    check_golden(mapper, golden)


@pytest.mark.parametrize("golden", [each for each in GOLDEN if each not in CURRENT], ids=topic_of)
def test_an_event_of_a_former_version_is_read_as_one_of_today(mapper: EventMapper, golden: Golden) -> None:
    loaded = mapper.to_domain_event(golden.stored)
    assert loaded.event == OLDER[golden.topic, golden.version]


def test_every_registered_type_is_in_the_golden_file_in_every_version_it_ever_had() -> None:
    registered = {
        (topic, version)
        for topic, cls in type_registry.items()
        for version in range(1, cls.SCHEMA_VERSION + 1)
    }
    assert {(golden.topic, golden.version) for golden in GOLDEN} == registered
    assert len(GOLDEN) == len(registered)


@pytest.mark.parametrize("golden", CURRENT, ids=topic_of)
def test_the_golden_event_fills_every_field(golden: Golden) -> None:
    data = msgspec.json.decode(golden.state)["data"]
    assert set(data) == {field.encode_name for field in msgspec.structs.fields(type_registry[golden.topic])}


class Renamed(Event, frozen=True, kw_only=True, omit_defaults=True):
    job: str
    run_id: str
    message: str
    failed_at: datetime


class RenamedOptional(Event, frozen=True, kw_only=True, omit_defaults=True):
    job: str
    run_id: str
    message: str | None = None
    failed_at: datetime


class Removed(Event, frozen=True, kw_only=True, omit_defaults=True):
    job: str
    run_id: str
    failed_at: datetime


class Retyped(Event, frozen=True, kw_only=True, omit_defaults=True):
    job: str
    run_id: str
    error: int
    failed_at: datetime


class Added(Event, frozen=True, kw_only=True, omit_defaults=True):
    job: str
    run_id: str
    error: str
    failed_at: datetime
    host: str


@pytest.mark.parametrize("changed", [Renamed, RenamedOptional, Removed, Retyped, Added])
def test_the_golden_file_notices_a_field_that_is_renamed_removed_retyped_or_demanded(
    mapper: EventMapper, changed: type[Event]
) -> None:
    golden = next(each for each in CURRENT if each.topic == "job.run_failed")
    as_it_was: dict[int, Upcaster] = {1: lambda stored: stored}
    noticed = pytest.raises((AssertionError, msgspec.ValidationError))
    with stored_under("job.run_failed", changed, version=2, upcasters=as_it_was), noticed:
        check_golden(mapper, golden)
    check_golden(mapper, golden)


def test_the_golden_file_notices_a_topic_that_changes(mapper: EventMapper) -> None:
    golden = next(each for each in CURRENT if each.topic == "job.run_failed")
    moved = Golden("job.run_broken", 1, golden.state)
    with pytest.raises(UnknownTopic, match=r"job\.run_broken"):
        mapper.to_domain_event(moved.stored)


def test_the_golden_file_notices_a_bytes_change_of_the_envelope() -> None:
    assert [entry_of(SAMPLES[golden.topic]) for golden in CURRENT] == CURRENT


class Payment(Event, frozen=True, kw_only=True, omit_defaults=True):
    cents: int
    currency: str
    note: str = "none"


def to_cents(fields: dict[str, Any]) -> dict[str, Any]:
    return {"cents": round(fields["amount"] * 100)}


def with_currency(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "currency": "EUR"}


def payment_at_version_3() -> AbstractContextManager[None]:
    return stored_under("test.paid", Payment, version=3, upcasters={1: to_cents, 2: with_currency})


def stored_payment(version: int, data: bytes) -> StoredEvent:
    meta = msgspec.json.encode(META)
    state = b'{"v":%d,"at":"2026-11-22T22:10:05.123Z","meta":%s,"data":%s}' % (version, meta, data)
    return StoredEvent(STREAM, 3, "test.paid", state)


@pytest.mark.parametrize(
    ("version", "data"),
    [
        (1, b'{"amount":12.34}'),
        (2, b'{"cents":1234}'),
        (3, b'{"cents":1234,"currency":"EUR"}'),
    ],
)
def test_an_event_of_any_version_is_taken_up_to_the_present_one(
    mapper: EventMapper, version: int, data: bytes
) -> None:
    with payment_at_version_3():
        loaded = mapper.to_domain_event(stored_payment(version, data))
    assert loaded.event == Payment(cents=1234, currency="EUR")
    assert (loaded.meta, loaded.timestamp, loaded.version) == (META, NOW, 3)


def test_an_event_is_stored_in_its_present_version(mapper: EventMapper) -> None:
    with payment_at_version_3():
        (paid,) = recorded(STREAM, [Payment(cents=1, currency="EUR")])
        state = msgspec.json.decode(mapper.to_stored_event(paid).state)
    assert state["v"] == 3
    assert state["data"] == {"cents": 1, "currency": "EUR"}


def test_a_payload_that_fits_no_version_says_so_and_is_not_guessed_at(mapper: EventMapper) -> None:
    with payment_at_version_3(), pytest.raises(msgspec.ValidationError):
        mapper.to_domain_event(stored_payment(2, b'{"cents":"many"}'))


def test_an_event_of_a_later_version_than_the_code_is_refused_and_not_guessed_at(mapper: EventMapper) -> None:
    golden = next(each for each in CURRENT if each.topic == "job.run_failed")
    newer = golden.state.replace('"v":2', '"v":3')
    assert newer != golden.state
    with pytest.raises(event_mapper.NewerSchema, match=r"job\.run_failed .* version 3"):
        mapper.to_domain_event(StoredEvent("t/job/j", 1, golden.topic, newer.encode()))


def test_one_of_a_later_version_is_told_as_such_also_where_its_payload_is_another(
    mapper: EventMapper,
) -> None:
    """The mapper keeps it in mind: this release is of no use on that log."""
    assert mapper.too_new is None
    newer = msgspec.json.encode({"v": 99, "at": NOW, "meta": metadata(), "data": {"run": 7}})
    with pytest.raises(event_mapper.NewerSchema, match=r"job\.run_scheduled .* version 99"):
        mapper.to_domain_event(StoredEvent("t/job/j", 1, "job.run_scheduled", newer))
    assert "job.run_scheduled is stored at schema version 99" in str(mapper.too_new)


def test_what_an_event_does_not_say_is_not_stored(mapper: EventMapper) -> None:
    (failed,) = recorded(
        STREAM,
        [JobRunFailed(job="j", run_id="r", error="e", failed_at=NOW)],
        meta=metadata(causation_id=None, command_id="c"),
    )
    state = msgspec.json.decode(mapper.to_stored_event(failed).state)
    assert set(state["meta"]) == {"tenant", "actor", "correlation_id", "command_id"}
    assert mapper.to_domain_event(mapper.to_stored_event(failed)) == failed


def test_the_place_of_an_event_is_the_recorders_and_not_in_its_bytes(mapper: EventMapper) -> None:
    recorded_event = SAMPLES["job.run_failed"]
    stored = mapper.to_stored_event(recorded_event)
    assert (stored.originator_id, stored.originator_version) == (STREAM, 3)
    assert STREAM.encode() not in stored.state
    assert is_uuid(recorded_event.meta.tenant)


@pytest.mark.parametrize("topic", sorted(type_registry))
def test_a_topic_is_chosen_and_not_where_the_class_happens_to_live(topic: str) -> None:
    cls: type[Event] = type_registry[topic]
    check: Callable[[str], bool] = topic.__contains__
    assert topic == cls.TOPIC
    assert not check(":")
    assert not check(cls.__module__)
    assert not check(cls.__name__)
