"""The picture of a workflow's steps: each step's column is the number of steps that have to end before it."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

_BOX_WIDTH, _BOX_HEIGHT = 176, 46
_GAP_X, _GAP_Y, _MARGIN = 52, 16, 6


class Box(msgspec.Struct, frozen=True):
    """A step, in units of the picture. ``status`` determines its colour; ``told`` describes it in words."""

    id: str
    name: str
    kind: str
    status: str
    told: str
    x: int
    y: int


class Line(msgspec.Struct, frozen=True):
    """A line from a step to one that waits for it."""

    path: str


class Drawing(msgspec.Struct, frozen=True):
    """The whole picture, and the common measures of its boxes: their size, the places of their two lines of
    text, and the longest name in characters."""

    width: int
    height: int
    boxes: Sequence[Box]
    lines: Sequence[Line]
    box_width: int = _BOX_WIDTH
    box_height: int = _BOX_HEIGHT
    text_x: int = 10
    text_y: tuple[int, int] = (19, 36)
    longest_name: int = 22


def drawing_of(steps: Sequence[Mapping[str, Any]]) -> Drawing:
    """Return the picture of a workflow's steps, without the items of ``map`` steps."""
    drawn = {step["stepType"]: step for step in steps if step.get("item") is None}
    columns: dict[str, int] = {}
    for name in drawn:
        _column(name, drawn, columns)
    rows = _rows(drawn, columns)
    boxes = {}
    for name, step in drawn.items():
        x, y = _corner(columns[name], rows[name, columns[name]])
        boxes[name] = Box(step["stepId"], name, step.get("kind") or "", step["status"], _told(step), x, y)
    lines = [
        _line(
            [_corner(column, rows[before, column]) for column in range(columns[before], columns[name])], box
        )
        for name, box in boxes.items()
        for before in _waited_for(drawn[name], drawn)
    ]
    last = max(columns.values(), default=0), max(rows.values(), default=0)
    right, bottom = _corner(*last)
    return Drawing(right + _BOX_WIDTH + _MARGIN, bottom + _BOX_HEIGHT + _MARGIN, list(boxes.values()), lines)


def _rows(
    steps: Mapping[str, Mapping[str, Any]], columns: Mapping[str, int]
) -> Mapping[tuple[str, int], int]:
    """Return the row of each step in its column, and the rows that are kept free for its lines in the columns
    that they pass, so that no line crosses a box."""
    reach = dict(columns)
    for name, step in steps.items():
        for before in _waited_for(step, steps):
            reach[before] = max(reach[before], columns[name] - 1)
    rows: dict[tuple[str, int], int] = {}
    for column in range(max(columns.values(), default=-1) + 1):
        taken: set[int] = set()
        passing = [name for name in steps if columns[name] < column <= reach[name]]
        for name in (*passing, *(name for name in steps if columns[name] == column)):
            row = rows.get((name, column - 1), 0)
            while row in taken:
                row += 1
            taken.add(row)
            rows[name, column] = row
    return rows


def _waited_for(step: Mapping[str, Any], steps: Mapping[str, Any]) -> Sequence[str]:
    return [each for each in step.get("after") or () if each in steps]


def _corner(column: int, row: int) -> tuple[int, int]:
    return _MARGIN + column * (_BOX_WIDTH + _GAP_X), _MARGIN + row * (_BOX_HEIGHT + _GAP_Y)


def _told(step: Mapping[str, Any]) -> str:
    """Return a step in words, for users who do not see the picture."""
    after = f", after {' and '.join(step['after'])}" if step.get("after") else ""
    tried = f", attempt {step['attempt']}" if (step.get("attempt") or 0) > 1 else ""
    return f"{step['stepType']}: {step['status']}{tried}{after}"


def _column(name: str, steps: Mapping[str, Mapping[str, Any]], columns: dict[str, int]) -> int:
    """Return the column of a step: the length of the longest chain of steps before it. There are no
    cycles."""
    if name not in columns:
        before = (_column(each, steps, columns) for each in _waited_for(steps[name], steps))
        columns[name] = 1 + max(before, default=-1)
    return columns[name]


def _line(corners: Sequence[tuple[int, int]], end: Box) -> Line:
    """Return the line from the first corner, through the places that are kept free for it, to a box."""
    path = f"M{corners[0][0] + _BOX_WIDTH} {corners[0][1] + _BOX_HEIGHT // 2}"
    for (x1, y1), (x2, y2) in pairwise((*corners, (end.x, end.y))):
        begun, half = x1 + _BOX_WIDTH, _BOX_HEIGHT // 2
        if (x1, y1) != corners[0]:
            path += f" H{begun}"
        middle = (begun + x2) // 2
        path += f" C{middle} {y1 + half} {middle} {y2 + half} {x2} {y2 + half}"
    return Line(path)
