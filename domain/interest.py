"""Which events somebody wants: all of some kinds, and of others those that meet a condition.

Every event is checked for every follower, when it is appended and when it is read, and most followers want
few kinds. So the result for an event's kind is computed once per kind and follower, not once per event.
"""

from collections.abc import Callable, Iterable
from types import UnionType
from typing import Any

from domain.event import Event, Recorded

Condition = Callable[[Any], object]
"""Whether an event is wanted: the truth value of the result."""


class Interest:
    """Events of ``kinds``, given as classes or unions of them, that meet ``where``. ``|`` joins interests."""

    def __init__(self, *kinds: type[Event] | UnionType, where: Condition = lambda event: True) -> None:
        self._parts: tuple[tuple[type[Event] | UnionType, Condition], ...]
        self._parts = tuple((each, where) for each in kinds)
        self._known = _Known(self._condition_of)

    def __or__(self, other: "Interest") -> "Interest":
        """Return what either wants. For a kind that both name, the first decides."""
        both = Interest()
        both._parts = self._parts + other._parts
        return both

    def __call__(self, event: Event) -> bool:
        """Return whether an event is wanted."""
        condition = self._known[type(event)]
        return condition is not None and bool(condition(event))

    def in_any(self, events: Iterable[Event]) -> bool:
        """Return whether one of the events is wanted."""
        known = self._known
        return any((condition := known[type(each)]) is not None and condition(each) for each in events)

    def among(self, events: Iterable[Recorded]) -> list[Recorded]:
        """Return the events that are wanted, in their order."""
        known = self._known
        return [
            each
            for each in events
            if (condition := known[type(each.event)]) is not None and condition(each.event)
        ]

    def _condition_of(self, kind: type[Event]) -> Condition | None:
        return next((where for kinds, where in self._parts if issubclass(kind, kinds)), None)


class _Known(dict[type[Event], Condition | None]):
    """Earlier results. They stay true, because they depend on the kind alone."""

    def __init__(self, ask: Callable[[type[Event]], Condition | None]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, kind: type[Event]) -> Condition | None:
        self[kind] = self._ask(kind)
        return self[kind]


EVERYTHING = Interest(Event)
"""Every event."""
