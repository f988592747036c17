"""given / when / then: the rules of an aggregate read as a story."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import pytest

from domain.errors import Refusal
from domain.event import Event

S = TypeVar("S")
R = TypeVar("R", bound=Refusal)

Evolve = Callable[[S | None, Event], S]


def fold(evolve: Evolve[S], events: Sequence[Event]) -> S:
    """The state after ``events``, one at least."""
    state: S | None = None
    for event in events:
        state = evolve(state, event)
    assert state is not None
    return state


class Given(Generic[S]):
    """What has happened so far."""

    def __init__(self, evolve: Evolve[S], *events: Event) -> None:
        self._evolve = evolve
        self.events = events

    @property
    def state(self) -> S:
        """What the rules know after all that."""
        return fold(self._evolve, self.events)

    def when(self, decide: Callable[[S], Sequence[Event]]) -> "When[S]":
        """Ask for something; nothing is decided before ``then``."""
        return When(self._evolve, self.events, decide)


class When(Generic[S]):
    """What is asked."""

    def __init__(
        self, evolve: Evolve[S], events: tuple[Event, ...], decide: Callable[[S], Sequence[Event]]
    ) -> None:
        self._evolve = evolve
        self.events = events
        self._decide = decide

    def happened(self) -> tuple[Event, ...]:
        """The events that it leads to."""
        return tuple(self._decide(fold(self._evolve, self.events)))

    def then(self, *expected: Event) -> Given[S]:
        """Exactly these events follow; the story may go on from there."""
        assert self.happened() == expected
        return Given(self._evolve, *self.events, *expected)

    def then_nothing(self) -> None:
        """Nothing changes, and nobody complains."""
        assert self.happened() == ()

    def then_refused(self, refusal: type[R]) -> R:
        """It is refused, just so."""
        with pytest.raises(refusal) as caught:
            self.happened()
        assert type(caught.value) is refusal
        return caught.value

    def and_so(self) -> Given[S]:
        """Go on with whatever happened."""
        return Given(self._evolve, *self.events, *self.happened())
