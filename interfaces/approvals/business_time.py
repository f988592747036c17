"""Business time in documents: durations of working time, and the calendar of a tenant."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, time
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from domain.business_time import Calendar, Hours
from domain.definition_rules import LONGEST_SECONDS
from domain.faults import Fault
from interfaces.approvals.faults import raise_faults
from interfaces.definitions.durations import Duration
from interfaces.rest.models import ApiModel
from interfaces.time_zones import require_time_zone

LEAST_WEEKLY_SECONDS = 3600
"""The least working time of a week. With less, some days of work would take years."""

_MOST_HOLIDAYS = 1_000
_DAY_SECONDS = 24 * 3600
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def _at_most(seconds: float) -> float:
    if seconds > LONGEST_SECONDS:
        raise PydanticCustomError("duration", "Input should be at most 366d")
    return seconds


def _hours(value: object) -> Hours:
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("hours", "Input should be hours such as 09:00-17:30")
    begin_hour, begin_minute, end_hour, end_minute = (int(part) for part in match.groups(default="0"))
    hours = Hours(time(begin_hour, begin_minute), time(end_hour, end_minute))
    if hours.end != time() and hours.end <= hours.begin:
        raise PydanticCustomError(
            "hours", "Input should end after it begins; what is past midnight belongs to the next day"
        )
    return hours


def _one_after_the_other(day: Sequence[Hours]) -> Sequence[Hours]:
    raise_faults("hours", _too_early(day))
    return day


def _too_early(day: Sequence[Hours]) -> Iterator[Fault]:
    for number in range(1, len(day)):
        ends = day[number - 1].end
        if ends == time() or day[number].begin < ends:
            yield Fault(f"[{number}]", "Input should begin when the hours before it have ended")


def _time_zone(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("time_zone", "Input should be an IANA time zone such as Europe/Berlin")
    try:
        return require_time_zone(value)
    except ValueError as error:
        raise PydanticCustomError("time_zone", "{why}", {"why": str(error)}) from None


def _day(value: object) -> date:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise PydanticCustomError("day", "Input should be a day that exists, such as 2026-12-25")


BusinessTime = Annotated[Duration, AfterValidator(_at_most)]
"""Seconds of working time. A day (``1d``) is 24 hours of it, which are three working days of eight hours."""

Day = Annotated[
    list[Annotated[Hours, PlainValidator(_hours)]],
    Field(default_factory=list, max_length=24),
    AfterValidator(_one_after_the_other),
]


class WeekDocument(ApiModel):
    """The working hours of each weekday, earliest first."""

    monday: Day
    tuesday: Day
    wednesday: Day
    thursday: Day
    friday: Day
    saturday: Day
    sunday: Day

    @model_validator(mode="after")
    def _has_hours(self) -> Self:
        if sum(_seconds(hours) for day in self.week().values() for hours in day) < LEAST_WEEKLY_SECONDS:
            raise PydanticCustomError("week", "Input should hold at least an hour of work")
        return self

    def week(self) -> dict[int, tuple[Hours, ...]]:
        """Return the hours by the weekday's number, which is the order of the fields."""
        days = (getattr(self, name) for name in type(self).model_fields)
        return {number: tuple(day) for number, day in enumerate(days) if day}


class CalendarDocument(ApiModel):
    """The working hours and holidays of a tenant, in its time zone."""

    zone: Annotated[str, PlainValidator(_time_zone)]
    week: WeekDocument
    holidays: Annotated[
        list[Annotated[date, PlainValidator(_day)]], Field(default_factory=list, max_length=_MOST_HOLIDAYS)
    ]

    def calendar(self) -> Calendar:
        """Return the domain's object."""
        return Calendar(zone=self.zone, week=self.week.week(), holidays=frozenset(self.holidays))


def _seconds(hours: Hours) -> int:
    end = hours.end.hour * 3600 + hours.end.minute * 60 or _DAY_SECONDS
    return end - (hours.begin.hour * 3600 + hours.begin.minute * 60)
