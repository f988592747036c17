"""Which events somebody wants: of some kinds all, of others those that meet a condition.

Every follower is asked of every event, when it is appended and when it is read, and most want few kinds. So
what an event's kind says is worked out once a kind and follower, and not once an event.
"""

from collections.abc import Callable, Iterable
from types import UnionType
from typing import Any

from domain.event import Event, Recorded

Condition = Callable[[Any], object]
"""Whether an event is wanted, by the truth of what is returned."""


class Interest:
    """Events of ``kinds``, given as classes or unions of them, that meet ``where``; joined by ``|``."""

    def __init__(self, *kinds: type[Event] | UnionType, where: Condition = lambda event: True) -> None:
        self._parts: tuple[tuple[type[Event] | UnionType, Condition], ...]
        self._parts = tuple((each, where) for each in kinds)
        self._known = _Known(self._condition_of)

    def __or__(self, other: "Interest") -> "Interest":
        """What either wants; of a kind that both name, what the first says of it."""
        both = Interest()
        both._parts = self._parts + other._parts
        return both

    def __call__(self, event: Event) -> bool:
        """Whether such an event is wanted."""
        condition = self._known[type(event)]
        return condition is not None and bool(condition(event))

    def in_any(self, events: Iterable[Event]) -> bool:
        """Whether one of the events is wanted."""
        known = self._known
        return any((condition := known[type(each)]) is not None and condition(each) for each in events)

    def among(self, events: Iterable[Recorded]) -> list[Recorded]:
        """Those that are wanted, in their order."""
        known = self._known
        return [
            each
            for each in events
            if (condition := known[type(each.event)]) is not None and condition(each.event)
        ]

    def _condition_of(self, kind: type[Event]) -> Condition | None:
        return next((where for kinds, where in self._parts if issubclass(kind, kinds)), None)


class _Known(dict[type[Event], Condition | None]):
    """What was asked before; an event's kind always says the same."""

    def __init__(self, ask: Callable[[type[Event]], Condition | None]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, kind: type[Event]) -> Condition | None:
        self[kind] = self._ask(kind)
        return self[kind]


EVERYTHING = Interest(Event)
"""Whatever happens."""
