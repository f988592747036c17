"""Whether enough people agree: seats are filled by a matching, and not by counting.

Where one is in two groups, that one person fills a seat of either and not of both. So how many seats some
people fill is the size of a greatest matching between them and the seats they may take (Kuhn's algorithm:
a person who finds all seats taken asks those who sit there to move).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

Seats = frozenset[int]
"""The entries of a stage whose seats somebody may take."""


def filled(capacities: Sequence[int], people: Iterable[Seats]) -> int:
    """How many seats those people fill at most; ``capacities`` tell how many seats each entry has."""
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
    """Whether one more person who may take a seat of ``entry`` alone would fill one more seat."""
    return filled(capacities, [*people, frozenset((entry,))]) > filled(capacities, people)


def _enough_of_each(people: Iterable[Seats], seats: int) -> Sequence[Seats]:
    """As many of those who may take the same seats as there are seats: more make no difference."""
    return [alike for alike, number in Counter(people).items() for _ in range(min(number, seats))]
