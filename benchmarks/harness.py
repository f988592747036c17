"""Measurements: the service ("ours") and its references are measured alternately within one run.

Absolute figures vary by 20% and more between runs on the same machine; ratios of medians of alternating
rounds do not. So a program always measures its references too, and an aim is a ratio if possible.

A program is a module of this package that is listed in ``benchmarks.programs`` and has ``run(options:
Options) -> list[Measurement]``. It measures a service process (``benchmarks.service``) only over HTTP and
RabbitMQ, so that the service can be that of another commit. ``benchmarks.stores`` has its stores and its
broker.
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
    """How to measure, for all programs."""

    rounds: int = 3
    size: Literal["tiny", "short", "long"] = "short"
    """``tiny`` only shows that a program works; its figures mean nothing."""

    service_root: Path = HERE
    """The working tree whose service is measured."""

    with_references: bool = True
    """False if two commits are compared."""

    def pick(self, tiny: T, short: T, long: T) -> T:
        """Return the value for the size: a number of events, seconds, or a list of variants."""
        return {"tiny": tiny, "short": short, "long": long}[self.size]


@dataclass(frozen=True)
class Aim:
    """A bound for our median, or with ``reference`` for its ratio to that reference's median.

    An absolute rate was set on some machine. ``set_beside`` says how much a reference did on that one: on a
    machine where the reference does less, the rate aimed at is less in the same proportion.
    """

    bound: Literal["at least", "at most"]
    number: float
    reference: str | None = None
    set_beside: tuple[str, float] | None = None

    def here(self, measurement: "Measurement") -> float:
        """Return the number on the machine of a measurement."""
        if self.set_beside is None or self.set_beside[0] not in measurement.references:
            return self.number
        name, then = self.set_beside
        return self.number * min(1.0, statistics.median(measurement.references[name]) / then)

    def reached(self, measurement: "Measurement") -> bool | None:
        """Return whether the aim is reached, or None if the reference was not measured."""
        if self.reference is not None and self.reference not in measurement.references:
            return None
        found = measurement.ratio(self.reference) if self.reference else measurement.median
        wanted = self.here(measurement)
        return found >= wanted if self.bound == "at least" else found <= wanted

    def words(self, measurement: "Measurement") -> str:
        """Return the aim in words, for the table."""
        if self.reference:
            return f"{self.bound} {self.number:g} × {self.reference}"
        told = f"{self.bound} {readable(self.number)} {measurement.unit}"
        if self.set_beside and (here := self.here(measurement)) < self.number:
            name, then = self.set_beside
            return f"{told} where {name} does {readable(then)}: {readable(here)} here"
        return told


@dataclass
class Measurement:
    """One figure of a piece of work, with a value per round, and the same figure of its references."""

    work: str
    """A slug that is the same in every run, for comparisons."""

    title: str
    unit: str
    ours: list[float]
    references: dict[str, list[float]] = field(default_factory=dict)
    aims: list[Aim] = field(default_factory=list)
    better: Literal["higher", "lower"] = "higher"
    notes: list[str] = field(default_factory=list)
    """What readers need to judge the figure: CPU shares, sizes, what was checked."""

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.ours)

    def ratio(self, reference: str) -> float:
        """Return the ratio of our median to a reference's."""
        return self.median / statistics.median(self.references[reference])


def in_turns(rounds: int, sides: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Call all sides in each round, and return their results by side.

    Every other round is in reverse order, so that no side always follows the same other one.
    """
    found: dict[str, list[T]] = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides.items())
        for name, side in order if number % 2 == 0 else reversed(order):
            found[name].append(side())
    return found


def spread(values: Sequence[float]) -> str:
    """Return the median and the range: ``1,234 (1,180 to 1,260)``."""
    middle = readable(statistics.median(values))
    return f"{middle} ({readable(min(values))} to {readable(max(values))})" if len(values) > 1 else middle


def readable(number: float) -> str:
    """Return a figure with three significant digits, or as an integer from 100 on."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"
