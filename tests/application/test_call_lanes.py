"""Whose call is next."""

from collections import Counter

import msgspec
import pytest

from application.call_lanes import Lanes
from application.ports import StepCall
from tests.application.test_http_requests import call
from tests.builders import metadata


def calls(service: str, tenant: str, count: int) -> list[StepCall]:
    return [
        msgspec.structs.replace(
            call({}), id=f"{service} {tenant} {number}", service=service, meta=metadata(tenant=tenant)
        )
        for number in range(count)
    ]


def begun(lanes: Lanes) -> Counter[tuple[str, str]]:
    return Counter((call.service, call.meta.tenant) for call in lanes.startable())


def test_a_tenant_alone_gets_half_of_a_service() -> None:
    lanes = Lanes(8)
    lanes.refill(calls("ml", "a", 100))
    assert begun(lanes) == {("ml", "a"): 4}


def test_there_is_a_place_for_each_tenant_that_comes_anew() -> None:
    lanes = Lanes(8)
    found = []
    for tenant in "abcd":
        lanes.refill(calls("ml", tenant, 100))
        found.append(begun(lanes)[("ml", tenant)])
    assert found == [4, 2, 1, 1]


def test_tenants_that_come_together_get_the_same() -> None:
    lanes = Lanes(8)
    lanes.refill([*calls("ml", "a", 100), *calls("ml", "b", 100), *calls("ml", "c", 1)])
    assert begun(lanes) == {("ml", "a"): 3, ("ml", "b"): 2, ("ml", "c"): 1}


def test_one_service_takes_nothing_from_another() -> None:
    lanes = Lanes(8)
    lanes.refill(calls("ml", "a", 100))
    begun(lanes)
    lanes.refill([*calls("ml", "a", 100), *calls("risk", "a", 100)])
    assert begun(lanes) == {("risk", "a"): 4}


def test_where_one_call_at_a_time_is_allowed_one_is_made() -> None:
    lanes = Lanes(1)
    lanes.refill([*calls("ml", "a", 5), *calls("ml", "b", 5)])
    assert begun(lanes).total() == 1


def test_tenants_take_turns() -> None:
    lanes = Lanes(1)
    lanes.refill([*calls("ml", "a", 50), *calls("ml", "b", 50), *calls("ml", "c", 50)])
    order = []
    for _ in range(6):
        (started,) = lanes.startable()
        order.append(started.meta.tenant)
        lanes.end(started)
        if lanes.runs_dry:
            break
    assert order == ["a", "b", "c", "a", "b", "c"]


def test_the_oldest_of_a_tenant_goes_first() -> None:
    lanes = Lanes(8)
    lanes.refill(calls("ml", "a", 100))
    assert [each.id for each in lanes.startable()] == [f"ml a {number}" for number in range(4)]


def test_a_call_that_ends_makes_room() -> None:
    lanes = Lanes(8)
    lanes.refill(calls("ml", "a", 100))
    started = list(lanes.startable())
    lanes.end(started[0])
    assert len(list(lanes.startable())) == 1
    assert started[0].id not in lanes.under_way


def test_what_is_under_way_is_not_begun_again() -> None:
    lanes = Lanes(8)
    lanes.refill(calls("ml", "a", 2))
    assert len(list(lanes.startable())) == 2
    lanes.refill(calls("ml", "a", 2))
    assert list(lanes.startable()) == []


def test_what_was_struck_out_is_not_begun() -> None:
    lanes = Lanes(8)
    lanes.refill(calls("ml", "a", 3))
    lanes.strike_out(["ml a 0", "ml a 2", "unknown"])
    assert [each.id for each in lanes.startable()] == ["ml a 1"]


@pytest.mark.parametrize(("count", "more"), [(7, False), (8, True)])
def test_a_lane_that_may_have_more_in_the_store_runs_dry(count: int, more: bool) -> None:
    lanes = Lanes(8)
    assert lanes.each == 8
    lanes.refill(calls("ml", "a", count))
    for _ in range(count):
        assert not lanes.runs_dry
        lanes.end(next(lanes.startable()))
    assert lanes.runs_dry == more
    lanes.refill([])
    assert not lanes.runs_dry
