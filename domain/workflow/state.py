"""What the rules need to know of a workflow. Nothing is decided here."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from immutables import Map

from domain.definition import Announcements, StepDefinition
from domain.values import StepRef
from domain.workflow.step import Step

WorkflowStatus = Literal[
    "pending",
    "running",
    "paused",
    "completed",
    "failed",
    "cancelled",
    "compensating",
    "compensated",
    "compensation_failed",
]

UNDER_WAY = ("running", "paused")
"""The workflow may still come to its end by itself."""

_AT_AN_END = ("completed", "failed", "cancelled", "compensated", "compensation_failed")


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules need to know of a workflow.

    ``steps`` holds those of the plan, and, by names of their own, the items of ``map`` steps and the
    compensations; ``types`` tells their names by their ids, ``expected`` those of the steps that a reply
    may be for, where these are told apart by more than the workflow: see :attr:`Step.expects`. ``done`` are
    the steps of the plan that were ever completed, in the order in which they last were.

    ``chain`` are the definitions of the workflows that led to it by what they told.

    ``breadth`` is how many workflows may stand beside it: children of its parent, and of those beside that.
    """

    workflow_id: str
    opportunity_id: str | None
    execution_id: str
    attempt: int
    status: WorkflowStatus
    definition_name: str = ""
    definition_version: int | None = None
    plan: tuple[StepDefinition, ...]
    steps: Map[str, Step]
    types: Map[str, str]
    expected: Map[str, tuple[str, ...]] = Map()
    done: tuple[str, ...] = ()
    input: Mapping[str, Any] | None = None
    deadline_seconds: float | None = None
    deadline_at: datetime | None = None
    announcements: Announcements = Announcements()
    parent: StepRef | None = None
    depth: int = 0
    breadth: int = 1
    failure: str | None = None
    concurrency_group: str | None = None
    chain: tuple[str, ...] = ()

    def step(self, step_type: str) -> Step | None:
        """The step of that type, or of that id."""
        return self.steps.get(step_type) or self.steps.get(self.types.get(step_type, ""))

    def definition(self, step_type: str) -> StepDefinition | None:
        """What the plan says of a step; nothing where it is an item or a compensation."""
        return next((each for each in self.plan if each.step_type == step_type), None)

    def planned(self) -> Iterator[tuple[StepDefinition, Step]]:
        """The steps of the plan, in its order."""
        return ((each, self.steps[each.step_type]) for each in self.plan)

    def will_make_room_in(self, group: str) -> bool:
        """Whether a concurrency group is told of its end, once that has come."""
        return self.concurrency_group == group and self.status not in _AT_AN_END

    @property
    def children_breadth(self) -> int:
        """How many children it may start, by what is known so far, and all those beside it as many."""
        children = 0
        for each, step in self.planned():
            children += each.kind == "workflow"
            children += each.compensation is not None and each.compensation.kind == "workflow"
            if each.map is not None and each.map.each.kind == "workflow" and step.items is not None:
                children += len(step.items.elements)
        return self.breadth * max(1, children)

    def all_steps(self) -> list[Step]:
        """Items and compensations too, in an order that is always the same; that of a map is not."""
        return sorted(
            self.steps.values(),
            key=lambda step: (step.item_of or step.step_type, -1 if step.item is None else step.item),
        )

    def lets_out(self, step: Step) -> bool:
        """Whether such a step is dispatched now: while it is undone, only what undoes; items, for a map that
        runs."""
        if self.status == "compensating":
            return step.undoes
        map_step = self.steps[step.item_of] if step.item_of is not None else None
        return self.status == "running" and (map_step is None or map_step.status == "running")

    @property
    def results(self) -> dict[str, Any]:
        """What the completed steps have found, by their result keys."""
        return {each.result_key: step.result for each, step in self.planned() if step.status == "completed"}

    @property
    def last_results(self) -> dict[str, Any]:
        """The same, and of a step that is done again what it had found before, until it is completed anew:
        what it has done then is still there.
        """
        return {
            each.result_key: step.result if step.status == "completed" else step.earlier_result
            for each, step in self.planned()
            if each.step_type in self.done
        }
