"""Where the steps of a workflow stand in its picture: by how many others each has to wait for."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

_BOX_WIDTH, _BOX_HEIGHT = 176, 46
_GAP_X, _GAP_Y, _MARGIN = 52, 16, 6


class Box(msgspec.Struct, frozen=True):
    """A step, in units of the picture; ``status`` is its colour, ``told`` the same in words."""

    id: str
    name: str
    kind: str
    status: str
    told: str
    x: int
    y: int


class Line(msgspec.Struct, frozen=True):
    """From the step that is waited for to the one that waits."""

    path: str


class Drawing(msgspec.Struct, frozen=True):
    """The whole picture, and what all its boxes share: their size, where their two lines of text begin, and
    how many characters of a name there is room for."""

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
    """The picture of a workflow's steps; the items of a ``map`` step are not drawn one by one."""
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
    """The row of each step in its column; and in every column that lines from it only pass, the row that is
    kept free for them, so that none goes through a box."""
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
    """What the picture shows of a step, for who does not see it."""
    after = f", after {' and '.join(step['after'])}" if step.get("after") else ""
    tried = f", attempt {step['attempt']}" if (step.get("attempt") or 0) > 1 else ""
    return f"{step['stepType']}: {step['status']}{tried}{after}"


def _column(name: str, steps: Mapping[str, Mapping[str, Any]], columns: dict[str, int]) -> int:
    """How many steps follow each other before it; a definition has no circles."""
    if name not in columns:
        before = (_column(each, steps, columns) for each in _waited_for(steps[name], steps))
        columns[name] = 1 + max(before, default=-1)
    return columns[name]


def _line(corners: Sequence[tuple[int, int]], end: Box) -> Line:
    """From the first of these places, through those that are kept free for it."""
    path = f"M{corners[0][0] + _BOX_WIDTH} {corners[0][1] + _BOX_HEIGHT // 2}"
    for (x1, y1), (x2, y2) in pairwise((*corners, (end.x, end.y))):
        begun, half = x1 + _BOX_WIDTH, _BOX_HEIGHT // 2
        if (x1, y1) != corners[0]:
            path += f" H{begun}"
        middle = (begun + x2) // 2
        path += f" C{middle} {y1 + half} {middle} {y2 + half} {x2} {y2 + half}"
    return Line(path)
