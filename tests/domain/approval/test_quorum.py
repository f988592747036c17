"""How many seats some people fill, against every way to seat them."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.approval.quorum import filled, of_use
from tests.domain.approval.brute import most_filled

Tables = tuple[Sequence[int], list[frozenset[int]]]


@st.composite
def tables(draw: st.DrawFn) -> Tables:
    """Up to four entries of up to three seats, and up to six people who may sit at any of them."""
    capacities = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    chairs = st.frozensets(st.integers(0, len(capacities) - 1))
    return capacities, draw(st.lists(chairs, max_size=6))


@settings(max_examples=150, deadline=None)
@given(tables())
def test_as_many_seats_are_filled_as_by_the_best_of_all_assignments(table: Tables) -> None:
    capacities, people = table
    assert filled(capacities, people) == most_filled(capacities, people)


@settings(max_examples=100, deadline=None)
@given(tables())
def test_one_more_is_of_use_where_the_best_assignment_with_them_fills_more(table: Tables) -> None:
    capacities, people = table
    people = people[:5]
    for entry in range(len(capacities)):
        more = most_filled(capacities, [*people, {entry}]) > most_filled(capacities, people)
        assert of_use(capacities, people, entry) == more


@settings(max_examples=50, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_who_comes_first_makes_no_difference(table: Tables, chance: object) -> None:
    capacities, people = table
    shuffled = sorted(people, key=lambda _: chance.random())  # type: ignore[attr-defined]
    assert filled(capacities, shuffled) == filled(capacities, people)


def test_who_is_in_two_groups_fills_a_seat_of_either_and_not_of_both() -> None:
    both = frozenset({0, 1})
    assert filled([1, 1], [both]) == 1
    assert filled([1, 1], [both, frozenset({0})]) == 2
    assert filled([1, 1], [both, both]) == 2
    assert filled([2, 0], [both, both, both]) == 2


def test_whoever_sits_moves_along_a_chain_for_the_last_to_come() -> None:
    chain = [frozenset({entry, entry + 1}) for entry in range(49)]
    assert filled([1] * 50, [*chain, frozenset({0})]) == 50
    assert filled([1] * 50, [*chain, frozenset({0}), frozenset({0})]) == 50


@pytest.mark.parametrize("seats", [[2_000, 2_000], [600, 600]])
def test_thousands_in_two_groups_are_seated(seats: list[int]) -> None:
    people = [*[frozenset({0})] * 1_000, *[frozenset({0, 1})] * 1_000, *[frozenset({1})] * 1_000]
    assert filled(seats, people) == min(sum(seats), len(people))
