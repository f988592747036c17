"""How an approval stands: which seats are filled, who may take the others, and whether enough people can.

Nobody is counted twice: a person who has voted, or for whom another has voted, takes no further seat of the
stage. A person who has handed over their part takes none either, unless they are given one afterwards. A part
that was handed to a group or to a role is still one person's: behind the seats of the entries each such part
has one place, and one of its recipients takes a seat through that place.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from domain.approval.events import UNCOUNTED, ApprovalAgreed, Escalating, Opening, Vote
from domain.approval.people import People
from domain.approval.policy import Approver, Policy, Stage
from domain.approval.quorum import Seats, filled, of_use
from domain.approval.state import Approval, Substitute
from domain.business_time import Calendar


class Circumstances(msgspec.Struct, frozen=True):
    """What is known of people when something is decided, and how the tenant's time passes."""

    now: datetime
    people: People
    calendar: Calendar


class Standing:
    """The open stage of an approval, in the circumstances."""

    def __init__(self, state: Approval, around: Circumstances) -> None:
        assert state.opening is not None
        stage = state.policy.stages[state.opening.stage]
        self._state = state
        self._stage = stage
        self._people = around.people
        groups = {each.approver.group for each in state.substitutes} | {
            each.group for each in stage.approvers
        }
        self._people.know(group for group in groups if group is not None)
        self.barred = barred_now(state, around)
        self._capacities = self._present_capacities(state.opening.seats)
        shared = [number for number, each in enumerate(state.substitutes) if _is_shared(each)]
        self._parts = [self._seats_and_place(number) for number in shared]
        self._places = [*self._capacities, *(int(_is_shared(each)) for each in state.substitutes)]

    @property
    def needed(self) -> int:
        """How many seats must be filled."""
        return _needed(self._stage, self._capacities)

    def vote_of(self, person: str) -> Vote | None:
        """Return the vote that used up that person's say, cast by themselves or for them."""
        votes = self._state.votes
        return next((vote for vote in votes if person in (vote.by, vote.on_behalf_of)), None)

    def seats_of(self, person: str, roles: frozenset[str]) -> Seats:
        """Return the entries of the stage whose seats that person may take."""
        return frozenset().union(*(seats for _, seats in self._grants_of(person, roles)))

    def ways_of(self, person: str, roles: frozenset[str]) -> frozenset[str]:
        """Return in which capacity they may: by name, or by which groups and roles."""
        return frozenset(approver.key for approver, _ in self._grants_of(person, roles))

    def own_seats_of(self, person: str, roles: frozenset[str]) -> Seats:
        """Return those of them that were counted for that person when the stage opened."""
        if person in self.barred or any(each.instead_of == person for each in self._state.substitutes):
            return frozenset()
        return frozenset().union(*(seats for _, seats in self._named_grants(person, roles)))

    def missing_with(self, votes: Sequence[Vote]) -> int:
        """Return how many more would have to approve, given these votes."""
        return max(0, self.needed - self._filled(_agreed(votes)))

    def waits_for_with(self, votes: Sequence[Vote]) -> tuple[str, ...]:
        """Return whom the stage would wait for, given these votes: those of whom one more would help.

        The members of groups and roles are not certain. Who decides for whom changes, so delegates of the
        requester are waited for as well.
        """
        agreed, used = _agreed(votes), _used(votes)
        seated = [*agreed, *self._parts]
        open_places = frozenset(
            place for place in range(len(self._places)) if of_use(self._places, seated, place)
        )
        added = self._state.substitutes
        meant = [(each, frozenset((entry,)), added) for entry, each in enumerate(self._stage.approvers)]
        meant += [(each.approver, self._given(n), added[n + 1 :]) for n, each in enumerate(added)]
        never = used | self._state.barred
        keys = (
            approver.key
            for approver, seats, later in meant
            if seats & open_places
            and approver.user not in never
            and (approver.user is None or all(each.instead_of != approver.user for each in later))
        )
        return tuple(dict.fromkeys(keys))

    def can_be_met_with(self, votes: Sequence[Vote]) -> bool:
        """Return whether enough people can still approve, given these votes. At least one has to: if those
        who were missing have left, the stage does not end by itself."""
        not_free = _used(votes) | self.barred
        seats = (seats for person, seats in self._seats_of_all().items() if seats and person not in not_free)
        candidates = [*map(frozenset, seats), *self._bearers_of_roles()]
        enough = self._filled([*_agreed(votes), *candidates]) >= self.needed
        return bool(candidates) and enough

    def _filled(self, people: Sequence[Seats]) -> int:
        """Return how many seats these people fill. A shared part has a place of its own. It takes a seat when
        one of its recipients takes that place."""
        return filled(self._places, [*people, *self._parts]) - len(self._parts)

    def _given(self, number: int) -> Seats:
        """Return what all recipients of a substitution may take: its seats, or its place if it is shared."""
        each = self._state.substitutes[number]
        return frozenset((self._place(number),)) if _is_shared(each) else frozenset(each.seats)

    def _seats_and_place(self, number: int) -> Seats:
        return frozenset((*self._state.substitutes[number].seats, self._place(number)))

    def _place(self, number: int) -> int:
        return len(self._stage.approvers) + number

    def _grants_of(self, person: str, roles: frozenset[str]) -> Sequence[tuple[Approver, Seats]]:
        """Return what somebody was given, by the policy and since. What they had before they handed over
        their part does not count."""
        grants = self._named_grants(person, roles)
        for number, each in enumerate(self._state.substitutes):
            if each.instead_of == person:
                grants = []
            if self._people.is_meant(each.approver, person, roles):
                grants.append((each.approver, self._given(number)))
        return grants

    def _named_grants(self, person: str, roles: frozenset[str]) -> list[tuple[Approver, Seats]]:
        return [
            (approver, frozenset((entry,)))
            for entry, approver in enumerate(self._stage.approvers)
            if self._people.is_meant(approver, person, roles)
        ]

    def _seats_of_all(self) -> Mapping[str, set[int]]:
        """Return the same as :meth:`seats_of` for everybody who is known by name: group by group, because
        there may be thousands."""
        seats: dict[str, set[int]] = {}
        for entry, approver in enumerate(self._stage.approvers):
            for person in _named(approver, self._people):
                seats.setdefault(person, set()).add(entry)
        for number, each in enumerate(self._state.substitutes):
            if each.instead_of is not None:
                seats.pop(each.instead_of, None)
            for person in _named(each.approver, self._people):
                seats.setdefault(person, set()).update(self._given(number))
        return seats

    def _bearers_of_roles(self) -> Iterator[Seats]:
        """Yield enough people for every seat of a role, because it is not known how many have it."""
        for entry, approver in enumerate(self._stage.approvers):
            if approver.role is not None:
                yield from [frozenset((entry,))] * self._capacities[entry]
        for number, each in enumerate(self._state.substitutes):
            if each.approver.role is not None:
                yield from [self._given(number)] * sum(self._capacities)

    def _present_capacities(self, opened_with: Sequence[int]) -> Sequence[int]:
        """Return the present numbers of seats. If all members of a group are asked, those who have left are
        no longer asked. Those who have voted, or have handed over their part, stay counted, because they
        cannot take that back by leaving. Those whom the requester has made their delegates stay counted too,
        because a delegation needs nobody's consent."""
        capacities = []
        for entry, approver in enumerate(self._stage.approvers):
            seats = opened_with[entry]
            if approver.count is None:
                heard = {vote.on_behalf_of or vote.by for vote in self._state.votes if entry in vote.own}
                handed_on = {each.instead_of for each in self._state.substitutes if entry in each.own}
                present = len((_named(approver, self._people) - self._state.barred) | heard | handed_on)
                seats = present if seats == UNCOUNTED else min(seats, present)
            capacities.append(max(1, seats))
        return capacities


def barred_now(state: Approval, around: Circumstances) -> frozenset[str]:
    """Return who may not approve, including those who decide for them now.

    Raises:
        Unknown: the delegations have to be looked up first.
    """
    return state.barred | around.people.delegates_of(state.barred, around.now)


def opening(
    policy: Policy, number: int, *, round: int, barred: frozenset[str], around: Circumstances
) -> Opening:
    """Return a stage as it opens now."""
    stage = policy.stages[number]
    if around.people.reached:
        around.people.know(stage.groups)
    after = around.calendar.after
    return Opening(
        round=round,
        stage=number,
        name=stage.name,
        waits_for=tuple(approver.key for approver in stage.approvers if approver.user not in barred),
        seats=_seats(stage, barred, around),
        remind_at=tuple(after(around.now, seconds) for seconds in stage.remind_after_seconds),
        escalate=tuple(
            Escalating(at=after(around.now, each.after_seconds), to=each.to) for each in stage.escalations
        ),
    )


def undecidable(state: Approval, around: Circumstances) -> str | None:
    """Return why too few people could approve, in the open stage or in a later one; None if enough can."""
    if state.opening is None or not around.people.reached:
        return None
    around.people.know(state.policy.groups)
    if not Standing(state, around).can_be_met_with(state.votes):
        return _too_few(state.opening.name)
    for number, stage in enumerate(state.policy.stages):
        if number > state.opening.stage:
            seats = _seats(stage, state.barred, around)
            opened = msgspec.structs.replace(state.opening, stage=number, seats=seats)
            later = msgspec.structs.replace(state, opening=opened, votes=(), substitutes=())
            if not Standing(later, around).can_be_met_with(()):
                return _too_few(stage.name)
    return None


def _seats(stage: Stage, barred: frozenset[str], around: Circumstances) -> tuple[int, ...]:
    """Return the present number of seats of each entry."""
    people = around.people
    if people.reached:
        people.know(each.group for each in stage.approvers if each.group is not None)

    def seats_of(approver: Approver) -> int:
        if approver.count is not None:
            return approver.count
        return len(_named(approver, people) - barred) if people.reached else UNCOUNTED

    return tuple(seats_of(approver) for approver in stage.approvers)


def _too_few(stage: str) -> str:
    return f"stage {stage} does not have enough people who can agree"


def _needed(stage: Stage, capacities: Sequence[int]) -> int:
    return sum(capacities) if stage.agree == "all" else stage.agree


def _named(approver: Approver, people: People) -> frozenset[str]:
    """Return those people whose names are known."""
    if approver.user is not None:
        return frozenset((approver.user,))
    return people.members_of(approver.group) if approver.group is not None else frozenset()


def _is_shared(part: Substitute) -> bool:
    """Return whether one person's part went to several people, of whom one takes it."""
    return part.instead_of is not None and part.approver.user is None


def _agreed(votes: Iterable[Vote]) -> list[Seats]:
    return [frozenset(vote.seats) for vote in votes if isinstance(vote, ApprovalAgreed)]


def _used(votes: Iterable[Vote]) -> frozenset[str]:
    return frozenset(
        person for vote in votes for person in (vote.by, vote.on_behalf_of) if person is not None
    )
