"""What the rules know of a workflow. Nothing is decided here."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from immutables import Map

from domain.definition import Announcements, StepDefinition
from domain.values import StepRef
from domain.workflow.step import COMPENSATION, Items, Step, item_type

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
"""The workflow may still end by itself."""

_AT_AN_END = ("completed", "failed", "cancelled", "compensated", "compensation_failed")


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules know of a workflow.

    ``steps`` holds those of the plan, and, under names of their own, the items of ``map`` steps and the
    compensations. ``types`` finds their names by their ids. ``expected`` finds the steps that a reply may be
    for, if these are distinguished by more than the workflow: see :attr:`Step.expects`. ``done`` are the
    steps of the plan that were ever completed, in the order in which they last were; a ``map`` step that can
    be undone is among them from the first of its items on.

    ``unsettled`` counts the steps whose child has yet to end. ``left_undone`` are those whose child has ended
    without undoing everything that it had done. ``failure`` is why the workflow has failed, at
    ``failed_step``.

    ``chain`` are the definitions of the workflows whose messages led to it.

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
    failed_step: str | None = None
    unsettled: int = 0
    left_undone: tuple[str, ...] = ()
    concurrency_group: str | None = None
    chain: tuple[str, ...] = ()

    def step(self, step_type: str) -> Step | None:
        """Return the step of that type, or of that id."""
        return self.steps.get(step_type) or self.steps.get(self.types.get(step_type, ""))

    def definition(self, step_type: str) -> StepDefinition | None:
        """Return the plan's definition of a step, or None for an item or a compensation."""
        return next((each for each in self.plan if each.step_type == step_type), None)

    def planned(self) -> Iterator[tuple[StepDefinition, Step]]:
        """Yield the steps of the plan, in its order."""
        return ((each, self.steps[each.step_type]) for each in self.plan)

    def will_make_room_in(self, group: str) -> bool:
        """Return whether a concurrency group is told of its end, when that has come."""
        is_over = self.status in _AT_AN_END and not (
            self.unsettled and self.status in ("failed", "cancelled")
        )
        return self.concurrency_group == group and not is_over

    def with_left_undone(self, step_type: str, *, is_left: bool) -> "Workflow":
        """Return the workflow after the child for a step has left something undone, the latest first, or no
        longer has."""
        if not is_left and step_type not in self.left_undone:
            return self
        others = tuple(each for each in self.left_undone if each != step_type)
        return msgspec.structs.replace(self, left_undone=(step_type, *others) if is_left else others)

    @property
    def children_breadth(self) -> int:
        """How many children it may start, by what is known so far, if all those beside it start as many."""
        children = 0
        for each, step in self.planned():
            children += each.kind == "workflow"
            children += each.compensation is not None and each.compensation.kind == "workflow"
            if each.map is not None and each.map.each.kind == "workflow" and step.items is not None:
                children += len(step.items.elements)
        return self.breadth * max(1, children)

    def all_steps(self) -> list[Step]:
        """Return all steps, with items and compensations, in an order that is always the same; that of a map
        is not."""
        return sorted(
            self.steps.values(),
            key=lambda step: (step.item_of or step.step_type, -1 if step.item is None else step.item),
        )

    def lets_out(self, step: Step) -> bool:
        """Return whether such a step is dispatched now. While the workflow is undone only compensations are,
        an item only while its ``map`` step runs, and no step before a child of it has ended."""
        if step.is_unsettled:
            return False
        if self.status == "compensating":
            return step.undoes
        map_step = self.steps[step.item_of] if step.item_of is not None else None
        return self.status == "running" and (map_step is None or map_step.status == "running")

    @property
    def may_let_out_later(self) -> bool:
        """Whether steps that wait for their next try may still be dispatched, by a resumption, a retry, or a
        ``map`` step that is begun again."""
        return self.status in (*UNDER_WAY, "failed")

    @property
    def results(self) -> dict[str, Any]:
        """The results of the completed steps, by their result keys."""
        return {each.result_key: step.result for each, step in self.planned() if step.status == "completed"}

    @property
    def last_results(self) -> dict[str, Any]:
        """The same, and for a step that is done again its former result until it is completed again, because
        what it has done remains. For a ``map`` step it is everything that its items have done so far."""
        return {
            each.result_key: self._last_result(step)
            for each, step in self.planned()
            if each.step_type in self.done
        }

    def _last_result(self, step: Step) -> Any:
        result = step.result if step.status == "completed" else step.earlier_result
        return result if step.items is None else _result_to_undo(self, step, step.items, result)


def done_items(state: Workflow, step: Step) -> Iterator[tuple[int, Any]]:
    """Yield the items of a ``map`` step that are completed, or were before they were begun again, and their
    last results."""
    items = step.items or Items(elements=())
    for index in range(len(items.elements)):
        item = state.steps.get(item_type(step.step_type, index))
        if item is not None and item.status == "completed":
            yield index, item.result
        elif index in items.earlier:
            yield index, items.earlier[index]


def last_found(state: Workflow, step: Step) -> dict[int, Any]:
    """Return the last results of the items of a ``map`` step, by their places. A person may have given the
    step a result instead."""
    found = dict(done_items(state, step))
    if step.items is None or not _is_list_of_its_items(step, step.items):
        return found
    given = {index: each for index, each in enumerate(step.result) if each is not None}
    since = {index: each for index, each in found.items() if index not in step.items.earlier}
    return found | given | since


def _is_list_of_its_items(step: Step, items: Items) -> bool:
    is_list = step.status == "completed" and isinstance(step.result, list | tuple)
    return is_list and len(step.result) == len(items.elements)


def unsettled_items(state: Workflow, step_type: str, items: Items | None) -> int:
    """Return how many items of a ``map`` step have a child that has yet to end, whatever elements the step is
    for by now."""
    places = range(0 if items is None else len(items.elements))
    known = (state.steps.get(item_type(step_type, item)) for item in places)
    return sum(step is not None and step.is_unsettled for step in known)


def _result_to_undo(state: Workflow, step: Step, items: Items, result: Any) -> Any:
    """Return what is undone next of a ``map`` step. ``null`` stands for what is undone already, or was not
    done.

    A person may have given the step a result that is no list of its items' results.
    """
    if step.status == "completed" and not _is_list_of_its_items(step, items):
        return result
    found = last_found(state, step)
    if step.status != "completed" and not found:
        return result
    undoes = state.steps.get(step.step_type + COMPENSATION)
    undone = set() if undoes is None else set(undoes.undone)
    return [None if index in undone else found.get(index) for index in range(len(items.elements))]
