"""Whether enough people approve: seats are filled by a matching, not by counting.

A person who is in two groups fills a seat of one of them, not of both. So the number of seats that some
people fill is the size of a maximum matching between them and the seats that they may take (Kuhn's algorithm:
a person who finds all seats taken asks those who sit there to move).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

Seats = frozenset[int]
"""The entries of a stage whose seats somebody may take."""


def filled(capacities: Sequence[int], people: Iterable[Seats]) -> int:
    """Return how many seats these people fill at most. ``capacities`` are the numbers of seats of the
    entries."""
    sitting: list[list[int]] = [[] for _ in capacities]
    seats = sum(capacities)
    everybody = _enough_of_each(people, seats)

    def seat(person: int, asked: set[int]) -> bool:
        for entry in everybody[person]:
            if entry in asked:
                continue
            asked.add(entry)
            if len(sitting[entry]) < capacities[entry]:
                sitting[entry].append(person)
                return True
            for place, other in enumerate(sitting[entry]):
                if seat(other, asked):
                    sitting[entry][place] = person
                    return True
        return False

    taken = 0
    for person in range(len(everybody)):
        taken += taken < seats and seat(person, set())
    return taken


def of_use(capacities: Sequence[int], people: Collection[Seats], entry: int) -> bool:
    """Return whether one more person who may take only a seat of ``entry`` would fill one more seat."""
    return filled(capacities, [*people, frozenset((entry,))]) > filled(capacities, people)


def _enough_of_each(people: Iterable[Seats], seats: int) -> Sequence[Seats]:
    """Return as many of the people who may take the same seats as there are seats. More make no
    difference."""
    return [alike for alike, number in Counter(people).items() for _ in range(min(number, seats))]
