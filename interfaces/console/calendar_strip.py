"""Two pictures of a job: its past runs and next firings on a line of days, and how long its runs took."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

DAYS_BACK, DAYS_AHEAD = 14, 14
_WIDTH = 560
_PLOT_HEIGHT = 90
_BAR, _BETWEEN_BARS = 9, 2


_COMING = "coming"
_SHAPES = {"failed": "square", "timed_out": "square", "missed": "diamond", "skipped": "diamond"}


class Mark(msgspec.Struct, frozen=True):
    """A run, or a future firing. ``status`` determines its colour."""

    x: float
    status: str
    at: str

    @property
    def shape(self) -> str:
        """A circle, square or diamond, to distinguish the outcomes without colours."""
        return _SHAPES.get(self.status, "circle")


class Day(msgspec.Struct, frozen=True):
    """The beginning of a day. Every seventh day has a name."""

    x: float
    name: str


class Strip(msgspec.Struct, frozen=True):
    """The line of the days around now."""

    days: Sequence[Day]
    marks: Sequence[Mark]
    now: float
    width: int = _WIDTH

    @property
    def told(self) -> str:
        """The picture in words."""
        counts = Counter(mark.status for mark in self.marks)
        coming = counts.pop(_COMING, 0)
        runs = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.most_common())
        return f"{runs or 'no runs'} in the last 14 days; {coming} firings in the next 14"


class Bar(msgspec.Struct, frozen=True):
    """One run. Its height is its duration, relative to the longest of all runs."""

    x: int
    y: float
    height: float
    status: str
    at: str
    took_ms: float | None


class Plot(msgspec.Struct, frozen=True):
    """The runs side by side, oldest first."""

    bars: Sequence[Bar]
    bar_width: int = _BAR
    width: int = _WIDTH
    height: int = _PLOT_HEIGHT + 2


def strip_of(runs: Sequence[Mapping[str, Any]], firings: Sequence[str], now: datetime) -> Strip:
    """Return the runs of the last 14 days, and the firings of the next 14."""
    begin = now - timedelta(days=DAYS_BACK)
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    days = []
    for number in range(1, DAYS_BACK + DAYS_AHEAD + 1):
        day = midnight + timedelta(days=number)
        is_named = number % 7 == 0 and number < DAYS_BACK + DAYS_AHEAD
        days.append(Day(_x(day, begin), f"{day:%b} {day.day}" if is_named else ""))
    marks = [Mark(_x(_time(_begun(run)), begin), run["status"], _begun(run)) for run in runs]
    marks += [Mark(_x(_time(at), begin), _COMING, at) for at in firings]
    return Strip(days, [mark for mark in marks if 0 <= mark.x <= _WIDTH], _x(now, begin))


def plot_of(runs: Sequence[Mapping[str, Any]]) -> Plot:
    """Return the runs from the oldest to the newest. A run that has no end gets the lowest visible bar."""
    took = [_took_ms(run) for run in runs]
    longest = max((each for each in took if each), default=1.0)
    bars = []
    for place, (run, each) in enumerate(zip(reversed(runs), reversed(took), strict=True)):
        height = max(4.0, round((_PLOT_HEIGHT - 6) * (each or 0.0) / longest, 1))
        bars.append(
            Bar(
                place * (_BAR + _BETWEEN_BARS),
                _PLOT_HEIGHT - height,
                height,
                run["status"],
                _begun(run),
                each,
            )
        )
    return Plot(bars)


def _begun(run: Mapping[str, Any]) -> str:
    return str(run.get("nominalTime") or run.get("triggeredAt") or run["scheduledAt"])


def _took_ms(run: Mapping[str, Any]) -> float | None:
    begun = run.get("publishedAt") or run.get("triggeredAt")
    ended = run.get("completedAt") or run.get("failedAt") or run.get("timedOutAt")
    if not begun or not ended:
        return None
    return max(0.0, (_time(ended) - _time(begun)).total_seconds() * 1000)


def _x(moment: datetime, begin: datetime) -> float:
    share = (moment - begin) / timedelta(days=DAYS_BACK + DAYS_AHEAD)
    return round(_WIDTH * share, 1)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
