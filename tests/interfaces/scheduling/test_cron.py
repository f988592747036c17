"""What an expression means, and what is refused."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.scheduling.cron import InvalidCron, UnixCron

IN_UTC = ZoneInfo("UTC")
A_SUNDAY = datetime(2026, 3, 1, tzinfo=UTC)
DEFAULTS = {
    "risk-snapshot-backfill": ("0 1 * * 0", 1, 6),
    "outcome-sync": ("0 1 * * *", 1, None),
    "industry-benchmarks": ("0 4 * * *", 4, None),
    "risk-clustering": ("0 2 * * *", 2, None),
    "account-health": ("0 3 * * *", 3, None),
    "propagation": ("0 5 * * *", 5, None),
    "model-monitoring": ("0 6 * * 0", 6, 6),
}
SUNDAY, MONDAY, WEDNESDAY, FRIDAY, SATURDAY = 6, 0, 2, 4, 5


def weekdays(expression: str) -> set[int]:
    """The weekdays (Monday is 0) on which an expression fires over four weeks."""
    return {firing.weekday() for firing in UnixCron(expression, IN_UTC).upcoming(A_SUNDAY, 28)}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("job", DEFAULTS)
def test_a_default_job_fires_on_its_weekday_at_its_hour(job: str, zone: str) -> None:
    expression, hour, weekday = DEFAULTS[job]
    firings = UnixCron(expression, ZoneInfo(zone)).upcoming(datetime(2026, 11, 23, 20, tzinfo=UTC), 10)
    local = [firing.astimezone(ZoneInfo(zone)) for firing in firings]

    assert [(at.hour, at.minute, at.second) for at in local] == [(hour, 0, 0)] * 10
    apart = timedelta(days=1 if weekday is None else 7)
    assert all(later.replace(tzinfo=None) - at.replace(tzinfo=None) == apart for at, later in pairwise(local))
    if weekday is not None:
        assert {at.weekday() for at in local} == {SUNDAY}
    assert all(firing.tzinfo is UTC for firing in firings)


@pytest.mark.parametrize("sunday", ["0", "7", "SUN", "sun", "0,7", "*/7", "7-7"])
def test_sunday_has_many_names(sunday: str) -> None:
    assert weekdays(f"0 1 * * {sunday}") == {SUNDAY}


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("1", {MONDAY}),
        ("5-7", {FRIDAY, SATURDAY, SUNDAY}),
        ("FRI-7", {FRIDAY, SATURDAY, SUNDAY}),
        ("MON-FRI", {0, 1, 2, 3, 4}),
        ("Mon,wed,FRI", {MONDAY, WEDNESDAY, FRIDAY}),
        ("0-6/2", {SUNDAY, 1, 3, SATURDAY}),
        ("1-1/2", {MONDAY}),
        ("*", {0, 1, 2, 3, 4, 5, 6}),
        ("*/2,5", {SUNDAY, 1, 3, FRIDAY, SATURDAY}),
    ],
)
def test_a_field_of_weekdays_means_what_unix_cron_means(field: str, days: set[int]) -> None:
    assert weekdays(f"0 1 * * {field}") == days


def test_months_have_names_and_months_without_the_day_are_left_out() -> None:
    firings = UnixCron("0 0 31 JAN-apr,Dec *", IN_UTC).upcoming(A_SUNDAY, 3)
    assert [(at.month, at.day) for at in firings] == [(3, 31), (12, 31), (1, 31)]


def test_a_leap_day_is_waited_for() -> None:
    assert UnixCron("0 0 29 2 *", IN_UTC).next_after(A_SUNDAY) == datetime(2028, 2, 29, tzinfo=UTC)


def test_two_day_fields_without_a_star_match_either_and_with_a_star_both() -> None:
    either = UnixCron("0 0 13 * FRI", IN_UTC).upcoming(A_SUNDAY, 5)
    assert [at.day for at in either] == [6, 13, 20, 27, 3]
    both = UnixCron("0 0 */12 * FRI", IN_UTC).upcoming(A_SUNDAY, 3)
    assert all(at.day in (1, 13, 25) and at.weekday() == FRIDAY for at in both)


def test_a_leading_star_with_further_numbers_is_still_a_star() -> None:
    both = UnixCron("0 0 */12,2 * 1", IN_UTC).upcoming(A_SUNDAY, 4)
    assert all(at.day in (1, 2, 13, 25) and at.weekday() == MONDAY for at in both)


def test_the_next_firing_is_strictly_after_the_moment() -> None:
    cron = UnixCron("*/15 * * * *", IN_UTC)
    at = datetime(2026, 3, 1, 0, 15, tzinfo=UTC)
    assert cron.next_after(at) == at + timedelta(minutes=15)
    assert cron.next_after(at - timedelta(microseconds=1)) == at
    assert cron.next_after(at + timedelta(microseconds=1)) == at + timedelta(minutes=15)


@pytest.mark.parametrize("expression", ["* * * * *", "0 1 * * *", "0 0 29 2 *"])
def test_towards_the_end_of_time_there_are_fewer(expression: str) -> None:
    last = datetime(9999, 12, 31, 23, 58, 30, tzinfo=UTC)
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        assert len(UnixCron(expression, ZoneInfo(zone)).upcoming(last, 10)) <= 1


def test_a_moment_of_any_zone_gives_the_same_instant() -> None:
    cron = UnixCron("0 1 * * *", ZoneInfo("Europe/Berlin"))
    moment = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert cron.next_after(moment.astimezone(ZoneInfo("Asia/Kolkata"))) == cron.next_after(moment)


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        UnixCron("0 1 * * *", IN_UTC).next_after(A_SUNDAY.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "it has 0 fields"),
        ("0 1 * *", "it has 4 fields and must have five: minute hour day-of-month month day-of-week"),
        ("0 0 1 * * 0", "it has 6 fields"),
        ("@daily", "nicknames"),
        (" @reboot", "nicknames"),
        ("60 1 * * *", 'minute: "60" is not 0 to 59'),
        ("0 24 * * *", 'hour: "24" is not 0 to 23'),
        ("0 0 0 * *", 'day-of-month: "0" is not 1 to 31'),
        ("0 0 * 13 *", 'month: "13" is not 1 to 12 or JAN to DEC'),
        ("0 0 * JULY *", 'month: "JULY" is not 1 to 12 or JAN to DEC'),
        ("0 0 * * 8", 'day-of-week: "8" is not 0 to 7 or SUN to SAT'),
        ("0 0 * * sunday", 'day-of-week: "sunday"'),
        ("MON 0 * * *", 'minute: "MON"'),
        ("0 0 * * FRI-SUN", 'day-of-week: "FRI-SUN" runs backwards; Sunday is also 7: write 5-7'),
        ("0 0 * * SAT-MON", 'day-of-week: "SAT-MON" runs backwards; write 6-7,0-1'),
        ("0 22-2 * * *", 'hour: "22-2" runs backwards; write 22-23,0-2'),
        ("5/15 * * * *", 'minute: "5/15" has a step without a range; write "5-59/15"'),
        ("*/0 * * * *", 'minute: the step of "*/0" must be a whole number of at least 1'),
        ("*/ * * * *", "the step"),
        ("*/x * * * *", "the step"),
        ("*/1/2 * * * *", "the step"),
        ("1- * * * *", 'minute: ""'),
        ("-1 * * * *", 'minute: ""'),
        ("1,,2 * * * *", 'minute: ""'),
        (", * * * *", 'minute: ""'),
        ("** * * * *", 'minute: "**"'),
        ("*-5 * * * *", 'minute: "*"'),
        ("0 0 L * *", "not Unix cron"),
        ("0 0 LW * *", "not Unix cron"),
        ("0 0 15W * *", "not Unix cron"),
        ("0 0 * * 5L", "not Unix cron"),
        ("0 0 * * MON#2", "not Unix cron"),
        ("0 0 ? * *", "not Unix cron"),
        ("١ * * * *", "minute"),
        ("² * * * *", "minute"),
        ("9" * 5000 + " * * * *", "minute"),
        ("0 0 30 2 *", "it never fires: no such month has a day 30"),
        ("0 0 31 4,jun,9,11 *", "it never fires: no such month has a day 31"),
        ("0 0 30,31 FEB */2", "it never fires"),
    ],
)
def test_what_is_no_unix_cron_is_refused_with_its_reason(expression: str, reason: str) -> None:
    with pytest.raises(InvalidCron) as refusal:
        UnixCron(expression, IN_UTC)
    assert reason in refusal.value.reason
    assert refusal.value.expression == expression
    assert "\n" not in str(refusal.value)


def test_a_day_that_never_comes_is_fine_beside_a_weekday_that_does() -> None:
    assert weekdays("0 0 30 2 1") == {MONDAY}


MINUTES = st.integers(0, 59)


@given(st.sets(MINUTES, min_size=1), st.sets(st.integers(0, 23), min_size=1))
def test_lists_fire_at_every_member_and_nowhere_else(minutes: set[int], hours: set[int]) -> None:
    expression = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    day = UnixCron(expression, IN_UTC).upcoming(A_SUNDAY - timedelta(seconds=1), len(minutes) * len(hours))
    assert [(at.hour, at.minute) for at in day] == sorted((h, m) for h in hours for m in minutes)


@given(MINUTES, MINUTES, st.integers(1, 70))
def test_a_range_with_a_step_counts_from_its_start(first: int, last: int, step: int) -> None:
    expression = f"{first}-{last}/{step} 0 * * *"
    if last < first:
        with pytest.raises(InvalidCron):
            UnixCron(expression, IN_UTC)
        return
    expected = list(range(first, last + 1, step))
    firings = UnixCron(expression, IN_UTC).upcoming(A_SUNDAY - timedelta(seconds=1), len(expected) + 1)
    assert [at.minute for at in firings[:-1]] == expected
    assert firings[-1].date() != A_SUNDAY.date()


@given(st.text(alphabet="0123456789*/,-@LWSUNfri# \t", max_size=24))
def test_any_text_is_either_understood_or_refused(text: str) -> None:
    try:
        cron = UnixCron(text, IN_UTC)
    except InvalidCron:
        return
    first, second = cron.upcoming(A_SUNDAY, 2)
    assert A_SUNDAY < first < second
