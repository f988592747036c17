"""A step of a workflow as the rules know it."""

from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec
from immutables import Map

from domain.definition import Work
from domain.values import derived_id

StepStatus = Literal["pending", "running", "retrying", "completed", "failed", "skipped", "cancelled"]

ENDED: tuple[StepStatus, ...] = ("completed", "failed", "skipped", "cancelled")

COMPENSATION = ".compensation"

CHILD = "workflow"
"""The kind of a step for which another workflow is run."""

APPROVAL = "approval"
"""The kind of a step that people decide."""

HTTP = "http"
"""The kind of a step that calls a service."""

TASK = "task"
"""The kind of a step that workers do."""


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """How far a ``map`` step is with its elements. Those below ``next`` have been begun in this execution, or
    were completed before. ``result_bytes`` is the size of all results so far. ``earlier`` holds the former
    results of items that are done again for the same elements, and are not completed again yet."""

    elements: tuple[Any, ...]
    next: int = 0
    open: int = 0
    failed: int = 0
    result_bytes: int = 0
    earlier: Map[int, Any] = Map()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules know of a step.

    ``attempt`` counts all its dispatches, ``tries`` those since it was last begun. ``result_bytes`` is the
    size of an item's result. ``key`` identifies replies to its last dispatch, if that takes more than the
    workflow. A step that is ``retrying`` without a ``retry_at`` was held back when its pause was over. One
    that ``is_left_out`` was skipped by an operator. For one that ``is_unanswered`` nobody waits any more, but
    what was asked for may be done nevertheless. One that ``is_unsettled`` has a child that has yet to end:
    before that, nothing is done on top of it, and nothing below it is undone. ``earlier_result`` is the
    former result of a step of the plan that is done again. A compensation that ``is_outrun`` was asked for
    before its step was completed again, and has to be done again; ``done_again`` counts how often the step
    was completed since. For the compensation of a ``map`` step, ``undoing`` are the items that it was last
    asked for, ``undone`` those that are undone.
    """

    step_id: str
    step_type: str
    work: Work
    status: StepStatus = "pending"
    attempt: int = 0
    tries: int = 0
    deadline_at: datetime | None = None
    retry_at: datetime | None = None
    result: Any = None
    result_bytes: int = 0
    earlier_result: Any = None
    error: str | None = None
    key: str | None = None
    is_left_out: bool = False
    is_unanswered: bool = False
    is_unsettled: bool = False
    is_outrun: bool = False
    done_again: int = 0
    undoing: tuple[int, ...] = ()
    undone: tuple[int, ...] = ()
    items: Items | None = None
    item: int | None = None
    item_of: str | None = None

    @property
    def undoes(self) -> bool:
        """Whether it is a compensation."""
        return self.step_type.endswith(COMPENSATION)

    @property
    def has_child(self) -> bool:
        """Whether a workflow is under way for it that reports its end to it."""
        waits = self.work.kind == CHILD and self.work.parameters.get("await", True)
        return bool(waits) and self.status == "running"

    @property
    def is_awaited(self) -> bool:
        """Whether it waits for its answer, or for its next try."""
        return self.status in ("running", "retrying")

    def is_due(self, now: datetime) -> bool:
        """Return whether the pause before its next try is over: by the clock, or because a timer said so."""
        return self.status == "retrying" and (self.retry_at is None or self.retry_at <= now)

    @property
    def expects(self) -> str | None:
        """The key of the replies that may still be for it."""
        return self.key if self.is_awaited or self.is_unanswered else None

    @property
    def has_ended(self) -> bool:
        """Whether it is over, in whatever way."""
        return self.status in ENDED


@lru_cache(maxsize=8_192)
def step_id_of(workflow_id: str, step_type: str) -> str:
    """Return the id of a step, which is the same in every execution. Followers ask for it again and again."""
    return derived_id("step", workflow_id, step_type)


def execution_id_of(workflow_id: str, attempt: int) -> str:
    """Return the id of an execution."""
    return derived_id("execution", workflow_id, str(attempt))


def child_id_of(step_id: str, attempt: int) -> str:
    """Return the id of the workflow that a dispatch of a step starts."""
    return derived_id("child", step_id, str(attempt))


def item_type(step_type: str, item: int) -> str:
    """Return the name of an item of a ``map`` step."""
    return f"{step_type}[{item}]"
