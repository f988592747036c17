"""A plain model of an approval for the machine: what was seen to happen, and what must follow from it.

It is told of events, of who is in which group and of who decides for whom, and works out by brute force who
may take which seats, how many are missing, and whether enough are left.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from domain.approval import (
    ApprovalAgreed,
    ApprovalEscalated,
    ApprovalObjected,
    ApprovalReassigned,
    ApprovalRequested,
    ApprovalRevised,
    ApprovalStageOpened,
    Approver,
    Opening,
    Policy,
    Stage,
)
from domain.event import Event
from tests.domain.approval.brute import Chairs, Grant, closure, most_filled, part_of, rights

BEARER = "zoe"
"""Who bears the one role that there is."""


@dataclass
class Surrounding:
    """Who is in which group, and who decides for whom, just now."""

    groups: Mapping[str, Collection[str]]
    links: Collection[tuple[str, str]]
    askers: frozenset[str]

    @property
    def barred(self) -> frozenset[str]:
        """Who may not agree."""
        return self.askers.union(*(closure(self.links, person) for person in self.askers))

    def principals_of(self, person: str) -> frozenset[str]:
        """For whom somebody decides."""
        return closure([(to, by) for by, to in self.links], person)

    def named(self, approver: Approver, *, by_others: bool = False) -> frozenset[str]:
        """Whom an approver means; who bears a role is not known where others decide for them."""
        if approver.user is not None:
            return frozenset({approver.user})
        if approver.group is not None:
            return frozenset(self.groups[approver.group])
        return frozenset() if by_others else frozenset({BEARER})

    def seats(self, stage: Stage) -> list[int]:
        """Of each entry, if the stage opened now."""
        return [
            len(self.named(each) - self.askers) if each.count is None else each.count
            for each in stage.approvers
        ]


@dataclass
class OpenStage:
    """The stage that is open: what it began with, and what was said in it."""

    stage: Stage
    opened_with: list[int]
    agreed: list[frozenset[int]] = field(default_factory=list)
    objections: int = 0
    heard: set[str] = field(default_factory=set)
    asked: list[set[str]] = field(default_factory=list)
    added: list[tuple[Approver, tuple[int, ...], str | None]] = field(default_factory=list)

    def rights(self, now: Surrounding, person: str, *, by_others: bool = False) -> frozenset[int]:
        """Whose seats somebody may take, themselves or through others."""
        named = [now.named(each, by_others=by_others) for each in self.stage.approvers]
        grants: list[Grant] = [
            (now.named(to, by_others=by_others), part_of(to, seats, whose, place), whose)
            for place, (to, seats, whose) in enumerate(self.added, start=len(self.stage.approvers))
        ]
        return rights(named, grants, person)

    def own(self, now: Surrounding, person: str) -> frozenset[int]:
        """Those that were counted for them when all of a group were counted."""
        gone = any(whose == person for _, _, whose in self.added)
        named = (entry for entry, each in enumerate(self.stage.approvers) if person in now.named(each))
        return frozenset() if gone or person in now.barred else frozenset(named)

    def capacities(self, now: Surrounding) -> list[int]:
        """How many seats each entry has, now that some have left."""
        found = []
        for entry, approver in enumerate(self.stage.approvers):
            seats = self.opened_with[entry]
            if approver.count is None:
                seats = min(seats, len((now.named(approver) - now.askers) | self.asked[entry]))
            found.append(max(1, seats))
        return found

    def needed(self, now: Surrounding) -> int:
        """How many have to agree."""
        return sum(self.capacities(now)) if self.stage.agree == "all" else self.stage.agree

    def missing(self, now: Surrounding) -> int:
        """How many more have to."""
        return max(0, self.needed(now) - most_filled(self.capacities(now), self.agreed, self.parts))

    @property
    def parts(self) -> list[Chairs]:
        """What went from one to another."""
        return [seats for _, seats, _ in self.added]

    def can_be_met(self, now: Surrounding, everybody: Collection[str]) -> bool:
        """Whether those who are left are enough, one at least; any number may bear a role."""
        free = [person for person in everybody if person not in self.heard | now.barred]
        others = [self.rights(now, person) for person in free]
        capacities = self.capacities(now)
        for entry, approver in enumerate(self.stage.approvers):
            others += [frozenset({entry})] * (capacities[entry] if approver.role is not None else 0)
        filled = most_filled(capacities, [*self.agreed, *others], self.parts)
        return any(others) and filled >= self.needed(now)


def opened(stage: Stage, now: Surrounding) -> OpenStage:
    """A stage that opens now."""
    return OpenStage(stage, now.seats(stage), asked=[set() for _ in stage.approvers])


class Model:
    """What is known of an approval from its events; it checks each against what was possible."""

    def __init__(self) -> None:
        self.policy = Policy()
        self.open: OpenStage | None = None
        self.number = 0

    def follow(self, event: Event, now: Surrounding) -> None:
        """An event has happened."""
        match event:
            case ApprovalRequested() | ApprovalRevised(voids=True):
                self.policy = event.policy or self.policy
                self._open(event.opening, now)
            case ApprovalStageOpened():
                assert self.open is not None
                assert self.open.missing(now) == 0
                assert event.opening.stage == self.number + 1
                self._open(event.opening, now)
            case ApprovalAgreed() | ApprovalObjected():
                self._vote(event, now)
            case ApprovalReassigned() if self.open is not None:
                self._hand_on(event, now)
            case ApprovalEscalated():
                assert self.open is not None
                every = tuple(range(len(self.open.stage.approvers)))
                self.open.added += [(to, every, None) for to in event.to]

    def can_be_met(self, now: Surrounding, everybody: Collection[str]) -> bool:
        """Whether enough are left for the open stage and for those after it."""
        if self.open is None:
            return True
        later = (opened(stage, now) for stage in self.policy.stages[self.number + 1 :])
        return all(stage.can_be_met(now, everybody) for stage in (self.open, *later))

    def _open(self, opening: Opening | None, now: Surrounding) -> None:
        self.open, self.number = None, 0
        if opening is not None:
            self.number = opening.stage
            self.open = opened(self.policy.stages[opening.stage], now)
            assert list(opening.seats) == self.open.opened_with

    def _vote(self, vote: ApprovalAgreed | ApprovalObjected, now: Surrounding) -> None:
        assert self.open is not None
        person = vote.on_behalf_of or vote.by
        assert person == vote.by or person in now.principals_of(vote.by)
        assert not self.open.heard & {person, vote.by}
        by_others = vote.on_behalf_of is not None
        assert set(vote.seats) == self.open.rights(now, person, by_others=by_others) != set()
        for entry in self.open.own(now, person):
            self.open.asked[entry].add(person)
        self.open.heard |= {person, vote.by}
        if isinstance(vote, ApprovalAgreed):
            assert not now.barred & {person, vote.by}
            self.open.agreed.append(frozenset(vote.seats))
            assert vote.missing == self.open.missing(now)
        else:
            self.open.objections += 1

    def _hand_on(self, event: ApprovalReassigned, now: Surrounding) -> None:
        assert self.open is not None
        person = event.instead_of
        if person is None:
            assert event.seats == tuple(range(len(self.open.stage.approvers)))
        else:
            by_others = person != event.by
            assert set(event.seats) == self.open.rights(now, person, by_others=by_others) != set()
            assert person not in self.open.heard | now.barred
            for entry in self.open.own(now, person):
                self.open.asked[entry].add(person)
        assert event.to.user not in now.barred
        self.open.added.append((event.to, event.seats, person))
