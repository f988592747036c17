"""Calendars as people write them."""

from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from pydantic import ValidationError

from domain.business_time import Calendar, Hours
from interfaces.approvals.business_time import CalendarDocument
from interfaces.rest.models import faults

Json = dict[str, Any]


def calendar(zone: Any = "Europe/Berlin", **week: Any) -> Json:
    return {"zone": zone, "week": week or {"monday": ["09:00-17:00"]}}


def read(document: Json) -> Calendar:
    return CalendarDocument.model_validate(document).calendar()


def told(document: Json) -> dict[str, str]:
    with pytest.raises(ValidationError) as refused:
        read(document)
    return {each.field: each.message for each in faults(refused.value, CalendarDocument)}


def test_all_that_a_calendar_may_say() -> None:
    document = calendar(monday=["09:00-12:00", "13:00-17:30"], friday=["00:00-12:00"], sunday=["22:00-24:00"])
    document["holidays"] = ["2026-12-25", "2027-01-01"]
    assert read(document) == Calendar(
        zone="Europe/Berlin",
        week={
            0: (Hours(time(9), time(12)), Hours(time(13), time(17, 30))),
            4: (Hours(time(0), time(12)),),
            6: (Hours(time(22), time(0)),),
        },
        holidays=frozenset({date(2026, 12, 25), date(2027, 1, 1)}),
    )


@pytest.mark.parametrize("whole_day", ["00:00-24:00", "00:00-00:00"])
def test_a_whole_day_has_twenty_four_hours(whole_day: str) -> None:
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    found = read(calendar("UTC", monday=[whole_day], tuesday=["09:00-10:00"]))
    assert found.after(monday, 24.5 * 3600) == datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def test_hours_may_follow_on_one_another() -> None:
    assert len(read(calendar(monday=["09:00-12:00", "12:00-13:00"])).week[0]) == 2


@pytest.mark.parametrize(
    "hours",
    [
        "9:00-17:00",
        "09:00",
        "09:00 - 17:00",
        "09:00-25:00",
        "24:00-24:00",
        "09:60-10:00",
        "٠٩:٠٠-١٠:٠٠",
        9,
        None,
    ],
)
def test_what_are_no_hours_is_told(hours: Any) -> None:
    assert told(calendar(monday=["08:00-09:00", hours])) == {
        "week.monday.1": "Input should be hours such as 09:00-17:30"
    }


@pytest.mark.parametrize("hours", ["17:00-09:00", "09:00-09:00", "22:00-06:00"])
def test_hours_end_after_they_begin(hours: str) -> None:
    assert "belongs to the next day" in told(calendar(monday=[hours]))["week.monday.0"]


@pytest.mark.parametrize(
    ("day", "places"),
    [
        (["09:00-12:00", "11:00-13:00"], ["week.tuesday.1"]),
        (["13:00-17:00", "09:00-12:00"], ["week.tuesday.1"]),
        (["09:00-12:00", "09:00-12:00"], ["week.tuesday.1"]),
        (["09:00-24:00", "10:00-11:00"], ["week.tuesday.1"]),
        (["09:00-17:00", "10:00-11:00", "10:30-12:00"], ["week.tuesday.1", "week.tuesday.2"]),
    ],
)
def test_hours_that_overlap_or_are_not_in_order_are_told(day: list[str], places: list[str]) -> None:
    assert list(told(calendar(tuesday=day))) == places


@pytest.mark.parametrize(
    ("zone", "message"),
    [
        ("Europe/Berln", "there is no such time zone; did you mean Europe/Berlin?"),
        ("europe/berlin", "there is no such time zone; did you mean Europe/Berlin?"),
        ("Mars/Olympus_Mons", "there is no such time zone"),
        ("", "there is no such time zone"),
        ("../../etc/passwd", "there is no such time zone"),
        (1, "Input should be an IANA time zone such as Europe/Berlin"),
    ],
)
def test_a_zone_that_there_is_not_is_told_with_the_one_that_was_meant(zone: Any, message: str) -> None:
    assert told(calendar(zone)) == {"zone": message}


@pytest.mark.parametrize(
    "week",
    [{"monday": []}, {"monday": ["09:00-09:30"]}, {"monday": ["09:00-09:30"], "friday": ["23:31-00:00"]}],
)
def test_a_calendar_without_an_hour_of_work_is_none(week: Json) -> None:
    assert told(calendar(**week)) == {"week": "Input should hold at least an hour of work"}
    assert told({"zone": "UTC", "week": {}}) == {"week": "Input should hold at least an hour of work"}


def test_an_hour_of_work_is_enough_whenever_it_is() -> None:
    assert read(calendar(monday=["09:00-09:30"], friday=["23:30-00:00"])).week.keys() == {0, 4}


@pytest.mark.parametrize("day", ["2026-02-29", "2026-1-1", "25.12.2026", "20261225", 20261225, None])
def test_a_holiday_is_a_day_that_exists(day: Any) -> None:
    message = "Input should be a day that exists, such as 2026-12-25"
    assert told({**calendar(), "holidays": ["2026-12-25", day]}) == {"holidays.1": message}


def test_what_is_not_known_is_told() -> None:
    assert set(told({**calendar(montag=["09:00-17:00"]), "zones": []})) == {"week.montag", "zones"}
    assert set(told({})) == {"zone", "week"}
