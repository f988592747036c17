"""Ids, stream names and times as they are written."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.values import StreamName, derived_id, is_same_json, is_uuid, timestamp

CANONICAL = "7d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10"


@pytest.mark.parametrize(
    "text", [CANONICAL, CANONICAL.upper(), "9e5b8a34-0c1d-4f6e-b7a2-4d3c2b1a0f9e", derived_id("a")]
)
def test_a_uuid_in_its_canonical_form_is_one(text: str) -> None:
    assert is_uuid(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7d0f3f2e6a514b0c9a531b2f5a1c9e10",
        "urn:7d0f3f2e6a514b0c9a531b2f5a1c9e10",
        "7d0f3f2e6a514b0c9a531b2f5a1c9e10----",
        "{d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10}",
        "7_0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10",
        "7d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e1g",
        "٧d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10",
        f"{CANONICAL}\n",
        f" {CANONICAL}",
        None,
        7,
        UUID(CANONICAL),
    ],
)
def test_whatever_else_uuid_would_parse_is_not_one(text: object) -> None:
    assert not is_uuid(text)


def test_a_derived_id_is_the_same_for_the_same_parts() -> None:
    assert derived_id("step", "w-1", "forecast") == derived_id("step", "w-1", "forecast")
    assert is_uuid(derived_id("step", "w-1", "forecast"))
    assert UUID(derived_id("step")).version == 5


def test_a_derived_id_tells_where_one_part_ends_and_the_next_begins() -> None:
    assert derived_id("ab", "c") != derived_id("a", "bc") != derived_id("abc")


def test_derived_ids_never_change_because_stored_ones_would_be_orphaned() -> None:
    assert derived_id("firing", "outcome-sync", "2026-11-22T01:00:00.000Z") == (
        "5ca8cecc-69f0-5d17-9ea6-cf949c26b0f0"
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ([0, 1], [False, 1], False),
        ((1, {"n": 2}), (1, {"n": 3}), False),
        (None, {}, False),
        (True, True, True),
        ({"a": [{"b": 0}]}, {"a": [{"b": False}]}, False),
        ([0.0, None, "1"], [-0.0, None, "1"], True),
    ],
)
def test_the_same_json_has_one_kind_of_number_and_a_truth_is_none(
    one: object, other: object, same: bool
) -> None:
    assert is_same_json(one, other) is same
    assert is_same_json(other, one) is same


@given(st.uuids().map(str), st.sampled_from(["approval", "workflow", "job"]), st.text(min_size=1))
def test_a_stream_name_is_read_back_whatever_the_id_holds(tenant: str, category: str, ident: str) -> None:
    name = StreamName(tenant, category, ident)
    assert StreamName.parse(str(name)) == name


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(2026, 11, 22, 22, 10, 5, 123_456, tzinfo=UTC), "2026-11-22T22:10:05.123Z"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00.000Z"),
        (datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))), "2025-12-31T23:30:00.000Z"),
    ],
)
def test_a_moment_is_written_in_utc_with_milliseconds_and_z(moment: datetime, written: str) -> None:
    assert timestamp(moment) == written


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_written_moments_sort_as_the_moments_do(one: datetime, other: datetime) -> None:
    if timestamp(one) < timestamp(other):
        assert one < other


@pytest.mark.parametrize(
    ("odd", "written"),
    [
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_beyond_utcs_calendar_is_written_as_its_end(odd: str, written: str) -> None:
    assert timestamp(datetime.fromisoformat(odd)) == written
