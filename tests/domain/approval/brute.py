"""What the rules of an approval say, found out by trying everything; nothing here is taken from the rules."""

from collections.abc import Collection, Iterator, Sequence
from functools import cache

from domain.approval import Approver

Chairs = Collection[int]
Grant = tuple[Collection[str], Chairs, str | None]
"""Who was added, to which seats, and instead of whom."""


def most_filled(capacities: Sequence[int], people: Sequence[Chairs], parts: Sequence[Chairs] = ()) -> int:
    """The most seats that some people fill: every way to give each of them one seat or none is tried.

    Behind the entries each of ``parts`` is a chair for one, from which they go on to one of its own chairs.
    """

    def seated(chairs: Chairs, left: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        for chair in chairs:
            if left[chair]:
                fewer = tuple(seats - (place == chair) for place, seats in enumerate(left))
                if chair < len(capacities):
                    yield fewer
                else:
                    yield from seated(parts[chair - len(capacities)], fewer)

    @cache
    def best(person: int, left: tuple[int, ...]) -> int:
        if person == len(people):
            return 0
        ways = (1 + best(person + 1, fewer) for fewer in seated(people[person], left))
        return max([best(person + 1, left), *ways])

    return best(0, (*capacities, *(1 for _ in parts)))


def part_of(to: Approver, chairs: Chairs, whose: str | None, place: int) -> Chairs:
    """What each may take to whom something went: one person's part of several is one chair."""
    return chairs if whose is None or to.user is not None else (place,)


def closure(links: Collection[tuple[str, str]], person: str) -> frozenset[str]:
    """Everybody whom the links lead to from a person, link by link until nobody is added."""
    found = {person}
    while more := {end for start, end in links if start in found} - found:
        found |= more
    return frozenset(found - {person})


def rights(named: Sequence[Collection[str]], grants: Sequence[Grant], person: str) -> frozenset[int]:
    """Whose seats somebody may take, where ``named`` are the people of each entry.

    What one has handed on is gone, and what comes afterwards is not.
    """
    handed_on = max((number for number, (_, _, whose) in enumerate(grants) if whose == person), default=-1)
    own = {entry for entry, people in enumerate(named) if person in people and handed_on < 0}
    given = {
        entry
        for number, (people, chairs, _) in enumerate(grants)
        if person in people and number >= handed_on
        for entry in chairs
    }
    return frozenset(own | given)
