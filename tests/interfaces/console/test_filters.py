"""Addresses of lists: what they keep of where somebody has been, and of what was asked for."""

from urllib.parse import parse_qsl

from interfaces.console.filters import filters_of, place_of, shown_of


def test_one_goes_on_and_back_through_pages() -> None:
    query: dict[str, str] = {"status": "failed"}
    for number in range(1, 4):
        on = place_of(query, {"status": "failed"}).links(f"c{number}").on
        assert on is not None
        query = dict(parse_qsl(on))
        place = place_of(query, {"status": "failed"})
        assert (place.asked, query["status"]) == ({"cursor": f"c{number}"}, "failed")
    back = place.links(None)
    assert (back.on, back.first) == (None, "status=failed")
    assert back.back == "status=failed&cursor=c1.c2"
    first = place_of({}, {})
    assert (first.asked, first.links(None).first, first.links(None).back) == ({}, None, None)
    assert place_of({"cursor": "c1"}, {}).links(None).back == ""


def test_an_address_does_not_grow_for_ever_and_says_so() -> None:
    query: dict[str, str] = {}
    for number in range(100):
        on = place_of(query, {}).links(f"{number:090}").on
        assert on is not None
        assert len(on) < 4_000
        query = dict(parse_qsl(on))
    steps_back = 0
    while back := place_of(query, {}).links(None).back:
        query = dict(parse_qsl(back))
        steps_back += 1
    assert place_of(query, {}).asked == {"cursor": f"{99 - steps_back:090}"}
    assert (steps_back, place_of(query, {}).links(None).first) == (38, "")


def test_a_moment_without_a_zone_is_in_utc() -> None:
    given = {"after": "2026-11-27T10:00", "before": " 2026-11-27T10:00:01.5 ", "actor": "", "other": "x"}
    filters = filters_of(given, ("after", "before", "actor"))
    assert filters == {"after": "2026-11-27T10:00:00Z", "before": "2026-11-27T10:00:01.5Z"}
    assert shown_of(filters) == {"after": "2026-11-27T10:00:00", "before": "2026-11-27T10:00:01.5"}
    assert shown_of({"after": "yesterdayZ"}) == {"after": "yesterdayZ"}
