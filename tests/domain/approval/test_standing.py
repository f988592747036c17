"""Whether enough agree, could still, and who: against every sequence of what could still be said."""

from hypothesis import given, settings

from domain.approval import Approval
from domain.approval.standing import Standing, undecidable
from tests.domain.approval.asked import around
from tests.domain.approval.worlds import World, passes, stories

Story = tuple[World, Approval]


def standing(world: World, state: Approval) -> Standing:
    return Standing(state, around(groups=world.groups, away=world.away))


@settings(max_examples=50, deadline=None)
@given(stories())
def test_a_stage_can_be_met_where_those_who_are_free_would_fill_enough_seats(story: Story) -> None:
    world, state = story
    others = [world.rights(state, person) for person in world.free(state)]
    enough = world.filled(state, *others) >= world.needed
    assert standing(world, state).can_be_met_with(state.votes) == enough
    assert (undecidable(state, around(groups=world.groups, away=world.away)) is None) == enough


@settings(max_examples=50, deadline=None)
@given(stories())
def test_a_stage_can_be_met_where_some_sequence_of_agreements_meets_it(story: Story) -> None:
    world, state = story
    assert standing(world, state).can_be_met_with(state.votes) == passes(world, state)


@settings(max_examples=50, deadline=None)
@given(stories())
def test_as_many_are_missing_as_seats_that_the_best_assignment_leaves(story: Story) -> None:
    world, state = story
    missing = max(0, world.needed - world.filled(state))
    assert standing(world, state).missing_with(state.votes) == missing
    assert missing > 0


@settings(max_examples=50, deadline=None)
@given(stories())
def test_a_stage_waits_for_those_of_whom_one_more_would_fill_a_seat(story: Story) -> None:
    world, state = story
    have = world.filled(state)
    useful = {
        place
        for place in range(len(world.capacities) + len(state.substitutes))
        if world.filled(state, frozenset({place})) > have
    }
    never = {world.requested_by, world.owner_id} - {None}
    heard = {person for vote in state.votes for person in (vote.by, vote.on_behalf_of)} - {None}
    expected = set()
    grants = world.grants(state)
    meant = [(-1, each, {entry}) for entry, each in enumerate(world.stage.approvers)]
    given = zip(state.substitutes, world.given(state), strict=True)
    meant += [(n, each.approver, set(chairs)) for n, (each, chairs) in enumerate(given)]
    for number, approver, seats in meant:
        handed_on = {whose for _, _, whose in grants[number + 1 :]} - {None}
        if seats & useful and approver.user not in never | heard | handed_on:
            expected.add(approver.key)
    waits_for = standing(world, state).waits_for_with(state.votes)
    assert set(waits_for) == expected
    assert len(waits_for) == len(expected)
    assert state.waits_for == waits_for
