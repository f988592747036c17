"""What a measurement is, and how it is taken: ours and the references in turns, within one run.

Absolute figures move by 20% and more between runs on the same machine; ratios of medians of rounds that took
turns do not. So a program measures its references itself, every time, and an aim is a ratio where it can be.

A program is a module of this package that is listed in ``benchmarks.programs`` and has
``run(options: Options) -> list[Measurement]``. Its "ours" is a service process (``benchmarks.service``),
asked over HTTP and RabbitMQ alone, so that it can be of another commit; what it stands on comes from
``benchmarks.stores``.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

HERE = Path(__file__).resolve().parents[1]
"""The working tree that this program belongs to."""

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """How to measure; every program obeys it."""

    rounds: int = 3
    size: Literal["tiny", "short", "long"] = "short"
    """``tiny`` only shows that a program works; its figures mean nothing."""

    service_root: Path = HERE
    """The working tree whose service is measured."""

    with_references: bool = True
    """False where two commits are compared: only ours is wanted."""

    def pick(self, tiny: T, short: T, long: T) -> T:
        """What belongs to the asked size: a number of events, seconds, a list of variants."""
        return {"tiny": tiny, "short": short, "long": long}[self.size]


@dataclass(frozen=True)
class Aim:
    """What a median is held against; with ``reference``, the ratio to that one's median."""

    bound: Literal["at least", "at most"]
    number: float
    reference: str | None = None

    def reached(self, measurement: "Measurement") -> bool | None:
        """Whether it is; nothing where the reference was not measured."""
        if self.reference is not None and self.reference not in measurement.references:
            return None
        found = measurement.ratio(self.reference) if self.reference else measurement.median
        return found >= self.number if self.bound == "at least" else found <= self.number

    def words(self, unit: str) -> str:
        """The aim as a reader of the table sees it."""
        if self.reference:
            return f"{self.bound} {self.number:g} × {self.reference}"
        return f"{self.bound} {readable(self.number)} {unit}"


@dataclass
class Measurement:
    """One figure of a piece of work, a value a round, beside the same figure of its references."""

    work: str
    """A slug, the same in every run: comparisons go by it."""

    title: str
    unit: str
    ours: list[float]
    references: dict[str, list[float]] = field(default_factory=dict)
    aims: list[Aim] = field(default_factory=list)
    better: Literal["higher", "lower"] = "higher"
    notes: list[str] = field(default_factory=list)
    """What a reader must know to judge the figure: CPU shares, sizes, what was checked."""

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.ours)

    def ratio(self, reference: str) -> float:
        """Our median to a reference's."""
        return self.median / statistics.median(self.references[reference])


def in_turns(rounds: int, sides: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """What each side returns, round by round.

    Every other round goes through the sides backwards, so that none always comes after the same other one.
    """
    found: dict[str, list[T]] = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides.items())
        for name, side in order if number % 2 == 0 else reversed(order):
            found[name].append(side())
    return found


def spread(values: Sequence[float]) -> str:
    """The median and what it lies within: ``1,234 (1,180 to 1,260)``."""
    middle = readable(statistics.median(values))
    return f"{middle} ({readable(min(values))} to {readable(max(values))})" if len(values) > 1 else middle


def readable(number: float) -> str:
    """A figure with as many digits as it deserves."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"
