"""Who may decide for whom, and until when; nobody for themselves, by however many others."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st

from domain import delegation
from domain.delegation import (
    LONGEST,
    MOST_A_TENANT,
    MOST_OF_ONE,
    Delegation,
    DelegationEnded,
    DelegationMade,
    Delegations,
    delegations_stream,
)
from domain.errors import (
    BadInput,
    DelegationMakesCycle,
    DelegationNotFound,
    NotAllowed,
    TooManyDelegations,
)
from domain.event import Event
from domain.job import JobRunCompleted
from tests.builders import NOW, TENANT, after
from tests.domain.approval.brute import closure
from tests.domain.scenario import Given


def made(by: str, to: str, days: float = 10, *, start: float = 0, at: float = 0) -> DelegationMade:
    """Made on one day, from another on, for so many."""
    return DelegationMade(
        delegation_id=f"{by}-{to}-{start}",
        by=by,
        to=to,
        starts_at=after(days=start),
        ends_at=after(days=start + days),
        made_at=after(days=at),
    )


def given(*events: Event) -> Given[Delegations]:
    return Given(delegation.evolve, *events)


def delegate(*events: DelegationMade) -> Delegations:
    """The delegations after each was asked for."""
    state: Delegations | None = None
    for each in events:
        for event in delegation.delegate(state, each):
            state = delegation.evolve(state, event)
    assert state is not None
    return state


def test_somebody_decides_for_another_from_one_moment_until_another_that_one_excluded() -> None:
    state = delegate(made("ada", "bob", 2, start=1))
    for moment, holds in [(0.99, False), (1, True), (2.99, True), (3, False)]:
        expected = {"ada"} if holds else set()
        assert state.principals_of("bob", after(days=moment)) == expected
        assert state.delegates_of("ada", after(days=moment)) == ({"bob"} if holds else set())
    assert state.principals_of("ada", after(days=1)) == frozenset()
    assert state.delegates_of("bob", after(days=1)) == frozenset()


def test_the_first_delegation_of_a_tenant_is_made_as_it_was_asked_for() -> None:
    assert delegation.delegate(None, made("ada", "bob")) == (made("ada", "bob"),)


def test_whoever_decides_for_one_who_decides_for_a_third_decides_for_both_while_both_hold() -> None:
    state = delegate(made("ada", "bob", 2), made("bob", "cleo", 2, start=1))
    assert state.principals_of("cleo", after(days=0.5)) == frozenset()
    assert state.principals_of("cleo", after(days=1.5)) == {"ada", "bob"}
    assert state.delegates_of("ada", after(days=1.5)) == {"bob", "cleo"}
    assert state.principals_of("cleo", after(days=2.5)) == {"bob"}
    assert state.delegates_of("ada", after(days=2.5)) == frozenset()


def test_the_same_delegation_again_changes_nothing() -> None:
    given(made("ada", "bob")).when(
        lambda state: delegation.delegate(state, made("ada", "bob"))
    ).then_nothing()


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        (made("ada", "ada"), ["to"]),
        (made("ada", "bob", 0), ["endsAt"]),
        (made("ada", "bob", -1), ["endsAt"]),
        (made("ada", "bob", 1, start=-2), ["endsAt"]),
        (made("ada", "bob", 1, start=-1), ["endsAt"]),
        (made("ada", "bob", 366.001), ["endsAt"]),
        (made("ada", "ada", -1), ["to", "endsAt"]),
    ],
)
def test_a_delegation_is_to_somebody_else_not_over_already_and_not_for_ever(
    wrong: DelegationMade, fields: list[str]
) -> None:
    with pytest.raises(BadInput) as caught:
        delegation.delegate(None, wrong)
    assert [fault["field"] for fault in caught.value.details] == fields


@pytest.mark.parametrize(
    "right", [made("ada", "bob", LONGEST.days), made("ada", "bob", 1, start=-0.5), made("ada", "bob", 1e-9)]
)
def test_a_delegation_may_last_a_year_and_have_begun_before(right: DelegationMade) -> None:
    assert delegation.delegate(None, right) == (right,)


@pytest.mark.parametrize(
    ("before", "new"),
    [
        ([made("ada", "bob")], made("bob", "ada")),
        ([made("ada", "bob")], made("bob", "ada", 20, start=9.9)),
        ([made("ada", "bob"), made("bob", "cleo")], made("cleo", "ada")),
        ([made("bob", "cleo", 1, start=8), made("ada", "bob", 9)], made("cleo", "ada")),
        ([made("a", "b"), made("b", "c"), made("c", "d"), made("x", "b")], made("d", "a", start=9)),
    ],
)
def test_no_two_decide_for_each_other_not_even_by_way_of_others(
    before: Sequence[DelegationMade], new: DelegationMade
) -> None:
    refusal = given(*before).when(lambda state: delegation.delegate(state, new))
    refused = refusal.then_refused(DelegationMakesCycle)
    assert (refused.code, refused.details) == ("HITL_DELEGATION_CYCLE", {"by": new.by, "to": new.to})


@pytest.mark.parametrize(
    ("before", "new"),
    [
        ([made("ada", "bob")], made("bob", "ada", start=10)),
        ([made("ada", "bob", start=10)], made("bob", "ada")),
        ([made("ada", "bob", 5), made("bob", "cleo", 5, start=5)], made("cleo", "ada")),
        ([made("ada", "bob")], made("ada", "cleo")),
        ([made("ada", "bob")], made("cleo", "bob")),
        ([made("ada", "bob"), made("ada", "cleo")], made("bob", "cleo")),
    ],
)
def test_what_never_holds_together_makes_no_cycle(
    before: Sequence[DelegationMade], new: DelegationMade
) -> None:
    given(*before).when(lambda state: delegation.delegate(state, new)).then(new)


def test_what_is_past_makes_no_cycle() -> None:
    new = made("bob", "ada", 40, start=-5, at=11)
    given(made("ada", "bob")).when(lambda state: delegation.delegate(state, new)).then(new)
    new = made("bob", "ada", 40, start=-5, at=9)
    given(made("ada", "bob")).when(lambda state: delegation.delegate(state, new)).then_refused(
        DelegationMakesCycle
    )


people = st.sampled_from("abcd")


@st.composite
def asked_for(draw: st.DrawFn) -> list[DelegationMade]:
    """Delegations within a few days, made one after the other as time passes."""
    days, today = [], 0
    for number in range(draw(st.integers(2, 7))):
        today += draw(st.sampled_from([0, 0, 1, 3]))
        start = today + draw(st.integers(-2, 4))
        each = made(draw(people), draw(people), draw(st.integers(1, 5)), start=start, at=today)
        days.append(_with_id(each, str(number)))
    return days


def _with_id(each: DelegationMade, delegation_id: str) -> DelegationMade:
    return DelegationMade(
        delegation_id=delegation_id,
        by=each.by,
        to=each.to,
        starts_at=each.starts_at,
        ends_at=each.ends_at,
        made_at=each.made_at,
    )


def _has_cycle(held: Sequence[DelegationMade], moment: datetime) -> bool:
    links = [(each.by, each.to) for each in held if each.starts_at <= moment < each.ends_at]
    return any(start in closure(links, end) or start == end for start, end in links)


@settings(max_examples=200, deadline=None)
@given_any(asked_for())
def test_one_is_refused_just_where_at_some_moment_to_come_there_would_be_a_cycle(
    days: list[DelegationMade],
) -> None:
    """Against a look at every half day."""
    state: Delegations | None = None
    held: list[DelegationMade] = []
    for each in days:
        moments = [each.made_at + timedelta(hours=12 * half) for half in range(40)]
        try:
            events = delegation.delegate(state, each)
        except DelegationMakesCycle:
            assert any(_has_cycle([*held, each], moment) for moment in moments)
        except BadInput:
            assert each.by == each.to or each.ends_at <= each.made_at
        else:
            held.append(each)
            assert not any(_has_cycle(held, moment) for moment in moments)
            (event,) = events
            state = delegation.evolve(state, event)
        for person in "abcd" if state is not None else "":
            for moment in moments[::3]:
                links = [(one.by, one.to) for one in held if one.starts_at <= moment < one.ends_at]
                assert state is not None
                assert state.delegates_of(person, moment) == closure(links, person)
                backwards = [(to, by) for by, to in links]
                assert state.principals_of(person, moment) == closure(backwards, person)


def test_a_tenant_has_so_many_that_have_not_ended_and_no_more() -> None:
    running = {
        str(number): Delegation(
            delegation_id=str(number), by=f"p{number}", to="zoe", starts_at=NOW, ends_at=after(days=1)
        )
        for number in range(MOST_A_TENANT)
    }
    full = Delegations(running)
    with pytest.raises(TooManyDelegations) as caught:
        delegation.delegate(full, made("ada", "bob"))
    assert caught.value.message == "there are 2000 delegations that have not ended"
    assert delegation.delegate(full, made("ada", "bob", at=1))


def test_who_is_away_takes_it_back_or_an_operator_does() -> None:
    story = given(made("ada", "bob"))
    ended = DelegationEnded(delegation_id="ada-bob-0", ended_at=after(days=1))

    def end(by: str, *, operator: bool = False, days: float = 1) -> Callable[[Delegations], Sequence[Event]]:
        return lambda state: delegation.end(
            state, "ada-bob-0", by=by, may_do_all=operator, now=after(days=days)
        )

    for taken_back in (end("ada"), end("zoe", operator=True)):
        over = story.when(taken_back).then(ended)
        assert over.state.principals_of("bob", after(days=1)) == frozenset()
        over.when(end("ada")).then_refused(DelegationNotFound)
    for other in ("bob", "zoe"):
        refusal = story.when(end(other)).then_refused(NotAllowed)
        assert refusal.message == "only ada or an operator may end this delegation"
    story.when(end("ada", days=9.99)).and_so()
    story.when(end("ada", days=10)).then_refused(DelegationNotFound)


def test_there_is_nothing_to_take_back_where_there_was_nothing() -> None:
    with pytest.raises(DelegationNotFound) as caught:
        delegation.end(None, "d-1", by="ada", may_do_all=True, now=NOW)
    assert caught.value.message == "there is no delegation d-1, or it has ended"


def test_what_was_taken_back_makes_no_cycle() -> None:
    ended = DelegationEnded(delegation_id="ada-bob-0", ended_at=NOW)
    given(made("ada", "bob"), ended).when(lambda state: delegation.delegate(state, made("bob", "ada"))).then(
        made("bob", "ada")
    )


def test_those_that_are_over_are_forgotten_when_another_is_made() -> None:
    story = given(made("ada", "bob", 1), made("cleo", "bob", 3))
    assert set(story.state.running) == {"ada-bob-0", "cleo-bob-0"}
    later = given(*story.events, made("dora", "bob", at=1))
    assert set(later.state.running) == {"cleo-bob-0", "dora-bob-0"}


def test_a_long_chain_of_delegations_is_held_against_a_new_one_in_time() -> None:
    """Two thousand that lead to one another, of which no two begin together."""
    chain = {
        str(n): Delegation(
            delegation_id=str(n),
            by=f"p{n}",
            to=f"p{n + 1}",
            starts_at=after(minutes=n),
            ends_at=after(days=9),
        )
        for n in range(MOST_A_TENANT - 1)
    }
    new = made("zoe", "p0")
    assert delegation.delegate(Delegations(chain), new) == (new,)
    assert len(Delegations(chain).principals_of("p1999", after(days=8))) == 1999


def test_an_event_of_something_else_is_a_broken_log() -> None:
    with pytest.raises(TypeError, match="is of no delegation"):
        delegation.evolve(None, JobRunCompleted(job="outcome-sync", run_id="r", completed_at=NOW))


def test_all_of_a_tenants_delegations_are_of_one_stream() -> None:
    assert delegations_stream(TENANT) == f"{TENANT}/delegations/all"


def test_nobody_takes_up_all_that_a_tenant_may_have() -> None:
    state = delegate(*(made("ada", f"p-{number}") for number in range(MOST_OF_ONE)))
    with pytest.raises(TooManyDelegations):
        delegation.delegate(state, made("ada", "eve"))
    assert delegation.delegate(state, made("zoe", "eve"))
