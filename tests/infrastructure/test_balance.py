"""Instances that ask for the same leases divide them, and nobody takes from whom he need not."""

import random
from collections.abc import Collection, Mapping

import pytest

from infrastructure.cosmos.balance import Standing, role_of, to_give_up, to_take

NAMES = [f"publisher-{number}" for number in range(8)]
ALL = [*NAMES, *(f"policies-{number}" for number in range(8)), "scheduler"]


def standing(holds: Collection[str] = (), asks: Collection[str] = ALL) -> Standing:
    return Standing(holds, asks)


def free(standings: Mapping[str, Standing], asked: Collection[str] = ALL) -> set[str]:
    return set(asked) - {name for each in standings.values() for name in each.holds}


def test_who_is_alone_takes_all() -> None:
    assert set(to_take("a", {"a": standing()}, ALL)) == set(ALL)


def test_of_what_is_free_nobody_takes_more_than_a_fair_part() -> None:
    standings = {id: standing() for id in "abc"}
    for id in standings:
        taken = to_take(id, standings, ALL)
        assert sum(name in NAMES for name in taken) == 3
        assert "scheduler" in taken


def test_who_does_not_ask_for_a_share_does_not_count() -> None:
    other = standing(asks=["scheduler"])
    assert set(to_take("a", {"a": standing(asks=NAMES), "b": other}, NAMES)) == set(NAMES)
    assert to_give_up("a", {"a": standing(NAMES), "b": other}) == []


def test_what_the_others_stand_back_from_is_taken_by_whoever_has_his_part() -> None:
    standings = {"a": standing(NAMES[:4]), "b": standing(NAMES[4:7], asks=NAMES[:7])}
    assert to_take("a", standings, [NAMES[7]]) == [NAMES[7]]


def test_what_another_has_less_of_is_left_to_him() -> None:
    standings = {"a": standing(NAMES[:4]), "b": standing(NAMES[4:7])}
    assert to_take("a", standings, [NAMES[7]]) == []
    assert to_take("b", standings, [NAMES[7]]) == [NAMES[7]]


def test_one_of_each_role_is_given_up_where_another_has_two_fewer() -> None:
    standings = {"a": standing(ALL), "b": standing(), "c": standing(NAMES[:0])}
    given_up = to_give_up("a", standings)
    assert sorted(map(role_of, given_up)) == ["policies", "publisher"], "what is done once has no share"
    assert to_give_up("a", {"a": standing(NAMES[:4]), "b": standing(NAMES[4:7])}) == []


@pytest.mark.parametrize("seed", range(20))
def test_whoever_comes_and_goes_in_the_end_all_is_done_and_evenly(seed: int) -> None:
    """Each looks at a state of a moment ago, in any order; of two who take one, one gets it."""
    chance = random.Random(seed)
    holds: dict[str, set[str]] = {"a": set()}

    def beat(id: str) -> None:
        seen = {each: standing(sorted(held)) for each, held in holds.items()}
        holds[id] -= set(to_give_up(id, seen))
        seen[id] = standing(sorted(holds[id]))
        holds[id] |= set(to_take(id, seen, free(seen)))

    for number in range(6):
        ids = sorted(holds)
        for _ in range(12):
            chance.shuffle(ids)
            for id in ids:
                beat(id)
        counts = [len(held & set(NAMES)) for held in holds.values()]
        assert sum(counts) == 8
        assert max(counts) - min(counts) <= 1, holds
        assert free({id: standing(sorted(held)) for id, held in holds.items()}) == set()
        if number in (2, 4):
            del holds[chance.choice(ids)]
        else:
            holds[f"i{number}"] = set()
