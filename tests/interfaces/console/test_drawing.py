"""Where the steps of a picture stand, and which way its lines go."""

import re
from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

from interfaces.console.drawing import Box, Drawing, drawing_of


def steps(**after: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "stepId": name,
            "stepType": name,
            "kind": "task",
            "status": "pending",
            "attempt": 1,
            "after": list(each),
        }
        for name, each in after.items()
    ]


def ends(path: str) -> list[tuple[int, int]]:
    """The places that a line comes through."""
    place = (0, 0)
    found = []
    for letter, text in re.findall(r"([MHC])([^MHC]*)", path):
        numbers = [int(each) for each in text.split()]
        place = (numbers[0], place[1]) if letter == "H" else (numbers[-2], numbers[-1])
        found.append(place)
    return found


def crossed(drawing: Drawing) -> list[tuple[str, str]]:
    """Boxes that a line goes through."""

    def is_in(place: tuple[float, float], box: Box) -> bool:
        x, y = place
        return box.x < x < box.x + drawing.box_width and box.y <= y <= box.y + drawing.box_height

    found = []
    for line, box in product(drawing.lines, drawing.boxes):
        for (x1, y1), (x2, y2) in pairwise(ends(line.path)):
            if any(
                is_in((x1 + (x2 - x1) * part / 50, y1 + (y2 - y1) * part / 50), box) for part in range(51)
            ):
                found.append((line.path, box.name))
    return found


def test_each_step_stands_after_those_that_it_waits_for() -> None:
    drawing = drawing_of(steps(c=["a", "b"], a=[], b=["a"]))
    places = {box.name: (box.x, box.y) for box in drawing.boxes}
    assert places["a"][0] < places["b"][0] < places["c"][0]
    assert len(drawing.lines) == 3
    assert drawing.width >= max(x for x, _ in places.values()) + drawing.box_width


def test_no_line_goes_through_a_box() -> None:
    for plan in (
        {"look": [], "ask": [], "calls": ["look"], "tell": ["calls", "ask"]},
        {"a": [], "b": ["a"], "c": ["b"], "d": ["c", "a"], "e": ["d", "a", "b"]},
        {"a": [], "b": [], "c": [], "d": ["a"], "e": ["d"], "f": ["e", "a", "b", "c"]},
    ):
        drawing = drawing_of(steps(**plan))
        assert crossed(drawing) == [], plan
        places = [(box.x, box.y) for box in drawing.boxes]
        assert len(set(places)) == len(places)
        assert all(y + drawing.box_height < drawing.height for _, y in places)


def test_a_line_through_a_box_would_be_noticed() -> None:
    drawing = drawing_of(steps(a=[], b=["a"], c=["b"]))
    straight = f"M{drawing.box_width} 29 C200 29 300 29 {drawing.width} 29"
    assert crossed(Drawing(drawing.width, drawing.height, drawing.boxes, [type(drawing.lines[0])(straight)]))


def test_what_is_seen_is_told_too_and_items_are_not_drawn() -> None:
    first, second = steps(a=[], b=["a"])
    second |= {"status": "failed", "attempt": 3}
    item = {**first, "stepType": "a[0]", "stepId": "i", "item": 0}
    drawing = drawing_of([first, second, item])
    assert [box.told for box in drawing.boxes] == ["a: pending", "b: failed, attempt 3, after a"]
    assert drawing_of([]).boxes == []
