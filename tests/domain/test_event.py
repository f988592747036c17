"""Payloads under topics and schema versions, and the ids of recorded events."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.event import Event, event_id, stored_as, type_registry
from domain.job import JobRunCompleted
from tests.builders import NOW, metadata, recorded


def unchanged(fields: dict[str, Any]) -> dict[str, Any]:
    return fields


@pytest.fixture(autouse=True)
def _registry_as_it_was() -> Iterator[None]:
    before = dict(type_registry)
    yield
    type_registry.clear()
    type_registry.update(before)


class Example(Event, frozen=True, kw_only=True, omit_defaults=True):
    name: str


def test_a_payload_is_registered_under_its_topic_and_version() -> None:
    registered = stored_as("test.example", version=2, upcasters={1: unchanged})(Example)
    assert registered is Example
    assert type_registry["test.example"] is Example
    assert Example.TOPIC == "test.example"
    assert Example.SCHEMA_VERSION == 2
    assert dict(Example.UPCASTERS) == {1: unchanged}


def test_a_topic_that_is_taken_is_refused_and_stays_with_its_first_class() -> None:
    holder = type_registry["job.run_completed"]
    with pytest.raises(ValueError, match=r"job\.run_completed is taken by JobRunCompleted"):
        stored_as("job.run_completed")(Example)
    assert type_registry["job.run_completed"] is holder is JobRunCompleted


@pytest.mark.parametrize(
    ("version", "upcasters"),
    [
        (2, None),
        (3, {1: unchanged}),
        (3, {2: unchanged}),
        (1, {1: unchanged}),
        (2, {1: unchanged, 2: unchanged}),
    ],
)
def test_every_version_below_the_present_one_needs_an_upcaster_and_no_other_has_one(
    version: int, upcasters: dict[int, Any] | None
) -> None:
    with pytest.raises(ValueError, match=f"test.example is at version {version} and has upcasters for"):
        stored_as("test.example", version=version, upcasters=upcasters)
    assert "test.example" not in type_registry


def test_an_event_cannot_be_changed() -> None:
    event = Example(name="a")
    with pytest.raises(AttributeError):
        event.name = "b"  # type: ignore[misc]


def test_an_events_id_is_its_place_in_its_stream() -> None:
    first, second = recorded("t/job/x", [Example(name="a"), Example(name="a")])
    assert first.event_id == event_id("t/job/x", 1) != second.event_id
    assert event_id("t/job/x", 1) != event_id("t/job/y", 1)
    assert first.timestamp == NOW


def test_event_ids_never_change_because_causes_and_older_messages_are_known_by_them() -> None:
    assert event_id("t/job/x", 1) == "956b265e-c573-5228-bbfc-6dedc175ac7f"


AFTER = datetime(2026, 11, 30, tzinfo=UTC)


def told(command_id: str, at: datetime = AFTER) -> str:
    (event,) = recorded(
        "t/job/x", [Example(name="a")], at=at, meta=metadata(tenant="t", command_id=command_id)
    )
    return event.identity


def test_an_event_in_a_lost_ones_place_has_an_identity_of_its_own() -> None:
    assert told("one") != told("two")


def test_a_command_that_is_handled_again_after_a_loss_gives_the_same_identity() -> None:
    assert told("one") == told("one", at=AFTER + timedelta(hours=3))


def test_the_events_of_one_command_are_told_apart() -> None:
    first, second = recorded("t/job/x", [Example(name="a"), Example(name="a")], at=AFTER)
    (elsewhere,) = recorded("t/job/y", [Example(name="a")], at=AFTER)
    assert len({first.identity, second.identity, elsewhere.identity}) == 3


def test_identities_never_change_because_receivers_know_messages_by_them() -> None:
    assert told("one") == "7f20fa4d-2388-5c17-b6ae-a9792f3a060d"


def test_an_event_that_was_told_of_under_its_place_keeps_that_id() -> None:
    just_before = AFTER - timedelta(microseconds=1)
    assert told("one", at=just_before) == told("two", at=just_before) == event_id("t/job/x", 1)
