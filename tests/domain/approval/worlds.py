"""Small worlds: four people, two groups that overlap, some who are away; and what happens there by chance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

from hypothesis import strategies as st

from domain import approval
from domain.approval import Approval, Approver, Escalation, Stage, evolve
from domain.errors import Refusal
from domain.event import Event
from tests.domain.approval.asked import (
    Groups,
    Links,
    Said,
    Surroundings,
    approve,
    around,
    asked,
    ballot,
    group,
    policy,
    reject,
    requested,
    role,
    user,
)
from tests.domain.approval.brute import Chairs, Grant, closure, most_filled, part_of, rights

PEOPLE = ("ada", "bob", "cleo", "dora")
BEARERS = tuple(f"bearer {number}" for number in range(10))
"""Of the role; who they are, nobody but they themselves can tell."""

people = st.sampled_from(PEOPLE)


@dataclass(frozen=True)
class World:
    """Who is there, who is asked, and who asks."""

    groups: Groups
    away: Links
    stage: Stage
    requested_by: str | None
    owner_id: str | None

    @property
    def barred(self) -> frozenset[str]:
        """Who may not agree."""
        return self.askers.union(*(closure(self.away, person) for person in self.askers))

    @property
    def askers(self) -> frozenset[str]:
        """For whose sake."""
        return frozenset(each for each in (self.requested_by, self.owner_id) if each is not None)

    @property
    def capacities(self) -> list[int]:
        """The seats of each entry."""
        return [
            max(1, len(self.named(each) - self.askers)) if each.count is None else each.count
            for each in self.stage.approvers
        ]

    @property
    def needed(self) -> int:
        """How many have to agree."""
        return sum(self.capacities) if self.stage.agree == "all" else self.stage.agree

    def named(self, approver: Approver) -> frozenset[str]:
        """Whom an approver means, as far as that is known; a role's are told apart by their names."""
        if approver.user is not None:
            return frozenset({approver.user})
        return frozenset(self.groups[approver.group] if approver.group is not None else BEARERS)

    def grants(self, state: Approval) -> list[Grant]:
        """Who was added."""
        return [
            (self.named(each.approver), chairs, each.instead_of)
            for each, chairs in zip(state.substitutes, self.given(state), strict=True)
        ]

    def given(self, state: Approval) -> list[Chairs]:
        """What each may take to whom something went."""
        entries = len(self.stage.approvers)
        return [
            part_of(each.approver, each.seats, each.instead_of, entries + number)
            for number, each in enumerate(state.substitutes)
        ]

    def rights(self, state: Approval, person: str) -> frozenset[int]:
        """Whose seats somebody may take."""
        return rights([self.named(each) for each in self.stage.approvers], self.grants(state), person)

    def free(self, state: Approval) -> list[str]:
        """Who has not been heard, and may agree."""
        heard = {person for vote in state.votes for person in (vote.by, vote.on_behalf_of)}
        return [person for person in (*PEOPLE, *BEARERS) if person not in heard | self.barred]

    def filled(self, state: Approval, *more: frozenset[int]) -> int:
        """How many seats those who have agreed fill, with some more."""
        seats = [frozenset(vote.seats) for vote in state.votes if isinstance(vote, approval.ApprovalAgreed)]
        return most_filled(self.capacities, [*seats, *more], [each.seats for each in state.substitutes])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any."""
    approver = st.one_of(
        people.map(user),
        st.builds(group, st.sampled_from("gh"), st.sampled_from([1, 1, 2, None])),
        st.just(role("cfo")),
    )
    approvers = draw(st.lists(approver, min_size=2, max_size=3, unique_by=lambda each: each.key))
    seats = sum(each.count or 1 for each in approvers)
    to = draw(st.lists(st.one_of(people.map(user), st.just(group("h")), st.just(role("cfo"))), max_size=2))
    pairs = st.tuples(people, people).filter(lambda pair: pair[0] < pair[1])
    return World(
        groups={"g": draw(st.frozensets(people, min_size=2)), "h": draw(st.frozensets(people))},
        away=draw(st.lists(pairs, min_size=1, max_size=2)),
        stage=Stage(
            name="only",
            approvers=tuple(approvers),
            agree=draw(st.one_of(st.just("all"), st.integers(1, seats))),
            rejections=draw(st.integers(1, 3)),
            escalations=tuple(Escalation(after_seconds=60, to=(each,)) for each in to),
        ),
        requested_by=draw(st.sampled_from([None, None, "dora"])),
        owner_id=draw(st.sampled_from([None, None, None, "ada"])),
    )


@st.composite
def stories(draw: st.DrawFn) -> tuple[World, Approval]:
    """A world, and an approval in it that something may have happened to, and that is pending."""
    world = draw(worlds())
    request = requested(requested_by=world.requested_by, owner_id=world.owner_id)
    here: Surroundings = {"groups": world.groups, "away": world.away}
    state = asked(policy(world.stage), request, must_open=True, **here).state
    for what in draw(st.lists(st.sampled_from("aaarhge"), min_size=2, max_size=5)):
        whoever = ((who, other) for who in PEOPLE for other in (PEOPLE if what in "ah" else (who,)))
        after_it = [reduce(evolve, happens(world, state, what, *pair), state) for pair in whoever]
        pending = [each for each in after_it if each != state and each.status == "pending"]
        if pending:
            state = draw(st.sampled_from(pending))
    return world, state


def happens(world: World, state: Approval, what: str, who: str, other: str) -> Sequence[Event]:
    """What comes of somebody's agreement, objection, or wish that another decide; or of time."""
    here: Surroundings = {"groups": world.groups, "away": world.away}
    said: Said = {"groups": world.groups, "away": world.away}
    if other != who:
        said["for_"] = other
    try:
        match what:
            case "a":
                return approve(who, **said)(state)
            case "r":
                return reject(who, **said)(state)
            case "h" | "g":
                circumstances, to = around(**here), user(other) if what == "h" else group("h")
                return approval.reassign(
                    state, ballot(who), circumstances, to=to, reason="r", may_do_all=False
                )
        number = PEOPLE.index(who) % 2 + 1
        if number > len(world.stage.escalations):
            return ()
        return approval.escalate(state, round=0, stage=0, number=number, around=around(**here))
    except Refusal:
        return ()


def passes(world: World, state: Approval) -> bool:
    """Whether there is any sequence of agreements, of anybody for themselves or another, that is enough."""
    tried: set[frozenset[tuple[str, str | None]]] = set()

    def leads_there(state: Approval) -> bool:
        said = frozenset((vote.by, vote.on_behalf_of) for vote in state.votes)
        if state.status == "approved" or said in tried:
            return state.status == "approved"
        tried.add(said)
        return any(leads_there(after_it) for after_it in _agreements(world, state))

    return leads_there(state)


def _agreements(world: World, state: Approval) -> Iterator[Approval]:
    free = world.free(state)
    bearers = [person for person in free if person in BEARERS][:1]
    for who in [*(person for person in free if person in PEOPLE), *bearers]:
        for principal in (None, *closure([(to, by) for by, to in world.away], who)):
            said: Said = {"groups": world.groups, "away": world.away}
            if principal is not None:
                said["for_"] = principal
            if who in BEARERS:
                said["roles"] = ("cfo",)
            try:
                happened = approve(who, **said)(state)
            except Refusal:
                continue
            yield reduce(evolve, happened, state)
