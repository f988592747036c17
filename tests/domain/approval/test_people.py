"""What is known of people, and what has to be looked up."""

import pytest

from domain.approval import People, Unknown
from tests.builders import NOW
from tests.domain.approval.asked import delegated, group, role, user

KNOWN = People({"g": frozenset({"ada"})}, delegated([("ada", "bob"), ("bob", "cleo")]))


def test_what_is_missing_is_named_all_at_once() -> None:
    with pytest.raises(Unknown) as caught:
        People().know(["g", "h"])
    assert caught.value.groups == {"g", "h"}
    assert caught.value.delegations
    with pytest.raises(Unknown) as caught:
        KNOWN.know(["g", "h"])
    assert caught.value.groups == {"h"}
    assert not caught.value.delegations
    KNOWN.know(["g"])
    KNOWN.know([])


def test_delegations_that_were_not_looked_up_are_not_taken_for_none() -> None:
    for ask in (People().principals_of, lambda person, now: People().delegates_of([person], now)):
        with pytest.raises(Unknown) as caught:
            ask("ada", NOW)
        assert caught.value.delegations
        assert str(caught.value) == "groups [] and delegations"


def test_people_decide_for_one_another_by_way_of_others_too() -> None:
    assert KNOWN.principals_of("cleo", NOW) == {"ada", "bob"}
    assert KNOWN.delegates_of(["ada"], NOW) == {"bob", "cleo"}
    assert KNOWN.delegates_of(["bob", "zoe"], NOW) == {"cleo"}
    assert KNOWN.delegates_of([], NOW) == frozenset()


def test_an_approver_is_a_person_a_group_of_theirs_or_a_role_that_they_bear() -> None:
    assert KNOWN.is_meant(user("ada"), "ada", frozenset())
    assert not KNOWN.is_meant(user("ada"), "bob", frozenset({"ada"}))
    assert KNOWN.is_meant(group("g"), "ada", frozenset())
    assert not KNOWN.is_meant(group("g"), "bob", frozenset({"g"}))
    assert KNOWN.is_meant(role("cfo"), "zoe", frozenset({"cfo"}))
    assert not KNOWN.is_meant(role("cfo"), "cfo", frozenset())
    with pytest.raises(Unknown):
        KNOWN.is_meant(group("h"), "ada", frozenset())
