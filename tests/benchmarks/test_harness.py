"""What the harness makes of figures; the figures themselves are no matter of a test."""

from benchmarks.harness import Aim, Measurement, in_turns, readable, spread


def measurement(ours: list[float], reference: list[float], *aims: Aim) -> Measurement:
    return Measurement("work", "Some work", "1/s", ours, {"bare": reference}, list(aims))


def test_sides_take_turns_and_every_other_round_goes_backwards() -> None:
    calls: list[str] = []

    def side(name: str) -> int:
        calls.append(name)
        return len(calls)

    found = in_turns(3, {"ours": lambda: side("ours"), "bare": lambda: side("bare")})

    assert calls == ["ours", "bare", "bare", "ours", "ours", "bare"]
    assert found == {"ours": [1, 4, 5], "bare": [2, 3, 6]}


def test_a_ratio_is_that_of_the_medians() -> None:
    assert measurement([1, 100, 10], [20, 5, 1000]).ratio("bare") == 0.5


def test_an_aim_is_held_against_the_median_or_the_ratio() -> None:
    found = measurement([100, 110, 400], [200])

    assert Aim("at least", 110).reached(found) is True
    assert Aim("at most", 109).reached(found) is False
    assert Aim("at least", 0.55, "bare").reached(found) is True
    assert Aim("at least", 0.56, "bare").reached(found) is False


def test_a_rate_aimed_at_is_less_where_the_reference_does_less_and_never_more() -> None:
    aim = Aim("at least", 100, set_beside=("bare", 200))
    slow, quick = measurement([60], [100]), measurement([60], [400])

    assert (aim.here(slow), aim.here(quick)) == (50, 100)
    assert (aim.reached(slow), aim.reached(quick)) == (True, False)
    assert aim.words(slow) == "at least 100 1/s where bare does 200: 50 here"
    assert aim.words(quick) == "at least 100 1/s"
    assert aim.here(Measurement("work", "Alone", "1/s", [60])) == 100


def test_an_aim_at_a_reference_that_was_not_measured_is_neither_reached_nor_missed() -> None:
    assert Aim("at least", 0.5, "another").reached(measurement([1], [1])) is None


def test_figures_have_the_digits_that_they_deserve() -> None:
    assert [readable(figure) for figure in (12_345.6, 99.46, 0.012345, 0.0)] == [
        "12,346",
        "99.5",
        "0.0123",
        "0",
    ]
    assert spread([3, 1, 2]) == "2 (1 to 3)"
    assert spread([3]) == "3"
