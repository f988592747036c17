"""Where the steps of a workflow stand in its picture: by how many others each has to wait for."""

from collections.abc import Mapping, Sequence
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
    rows: dict[int, int] = {}
    boxes: dict[str, Box] = {}
    for name, step in drawn.items():
        column = columns[name]
        row = rows.get(column, 0)
        rows[column] = row + 1
        x, y = _MARGIN + column * (_BOX_WIDTH + _GAP_X), _MARGIN + row * (_BOX_HEIGHT + _GAP_Y)
        boxes[name] = Box(step["stepId"], name, step.get("kind") or "", step["status"], _told(step), x, y)
    lines = [
        _line(boxes[before], boxes[name])
        for name, step in drawn.items()
        for before in step.get("after") or ()
        if before in boxes
    ]
    width = max((box.x for box in boxes.values()), default=0) + _BOX_WIDTH + _MARGIN
    height = max((box.y for box in boxes.values()), default=0) + _BOX_HEIGHT + _MARGIN
    return Drawing(width, height, list(boxes.values()), lines)


def _told(step: Mapping[str, Any]) -> str:
    """What the picture shows of a step, for who does not see it."""
    after = f", after {' and '.join(step['after'])}" if step.get("after") else ""
    tried = f", try {step['attempt']}" if (step.get("attempt") or 0) > 1 else ""
    return f"{step['stepType']}: {step['status']}{tried}{after}"


def _column(name: str, steps: Mapping[str, Mapping[str, Any]], columns: dict[str, int]) -> int:
    """How many steps follow each other before it; a definition has no circles."""
    if name not in columns:
        before = [each for each in steps[name].get("after") or () if each in steps]
        columns[name] = 1 + max((_column(each, steps, columns) for each in before), default=-1)
    return columns[name]


def _line(begin: Box, end: Box) -> Line:
    x1, y1 = begin.x + _BOX_WIDTH, begin.y + _BOX_HEIGHT // 2
    x2, y2 = end.x, end.y + _BOX_HEIGHT // 2
    middle = (x1 + x2) // 2
    return Line(f"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}")
