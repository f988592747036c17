"""How far the items of a ``map`` step are, kept in the step's own document.

Each item has a document of its own; to count those would cost the more the more there are. So the step's
holds the states of all, in their order and run by run: ``4000c12r1f88p``. It is derived from itself and the
event alone: a store without transactions may have written the item's document and not this one.
"""

import re
from collections import Counter
from hashlib import blake2b

from domain.values import canonical
from domain.workflow import (
    StepCancelled,
    StepCompleted,
    StepDispatched,
    StepFailed,
    StepMapped,
    StepSkipped,
    step_id_of,
)
from projections.ports import Json

STATES = {
    "p": "pending",
    "r": "running",
    "t": "retrying",
    "c": "completed",
    "f": "failed",
    "s": "skipped",
    "x": "cancelled",
}

_KEPT = "crst"
"""What is done, left out, or under way, is kept when the step is begun anew with the same elements."""

_RUNS = re.compile(r"([0-9]+)([a-z])")
_SAME = re.compile(r"(.)\1*")

ItemEvent = StepDispatched | StepCompleted | StepFailed | StepSkipped | StepCancelled
"""What happens to one item."""


def map_step_of(event: ItemEvent) -> str | None:
    """The id of the step whose item an event is about; none where it is about no item."""
    return map_step_named(event.workflow_id, event.step_type)


def map_step_named(workflow_id: str, step_type: str) -> str | None:
    """The same of an item's workflow and type."""
    if not step_type.endswith("]"):
        return None
    return step_id_of(workflow_id, step_type.rpartition("[")[0])


def mapped(step: Json, event: StepMapped) -> Json:
    """A ``map`` step that has found its elements."""
    digest = blake2b(canonical(event.elements), digest_size=8).hexdigest()
    states = "p" * len(event.elements)
    if step.get("elementsDigest") == digest:
        states = "".join(each if each in _KEPT else "p" for each in _expanded(step["itemStates"]))
    return step | {"elementsDigest": digest, "itemStates": _in_runs(states)}


def items_anew(step: Json) -> Json:
    """A ``map`` step all of whose items are done again, also where its elements are the same."""
    return step | {"itemStates": _in_runs("p" * len(_expanded(step["itemStates"])))}


def with_item(step: Json, event: ItemEvent) -> Json:
    """A ``map`` step after an event about one of its items."""
    item = int(event.step_type.rpartition("[")[2].removesuffix("]"))
    states = _expanded(step["itemStates"])
    return step | {"itemStates": _in_runs(states[:item] + _state(event) + states[item + 1 :])}


def is_outdated(item: Json, step: Json) -> bool:
    """Whether an item's document tells of an earlier time that the ``map`` step began: what it did counts no
    more, and its element may have changed, or be gone."""
    states = _expanded(step.get("itemStates", ""))
    return item["status"] != "pending" and states[item["item"] : item["item"] + 1] in ("", "p")


def item_counts(step: Json) -> dict[str, int]:
    """How many items of a ``map`` step are in which state."""
    counted: Counter[str] = Counter()
    for many, state in _RUNS.findall(step.get("itemStates", "")):
        counted[STATES[state]] += int(many)
    return {state: counted[state] for state in STATES.values()}


def _state(event: ItemEvent) -> str:
    match event:
        case StepDispatched():
            return "r"
        case StepCompleted():
            return "c"
        case StepFailed():
            return "f" if event.retry_at is None else "t"
        case StepSkipped():
            return "s"
        case StepCancelled():
            return "x"


def _expanded(runs: str) -> str:
    return "".join(state * int(many) for many, state in _RUNS.findall(runs))


def _in_runs(states: str) -> str:
    return _SAME.sub(lambda run: f"{len(run[0])}{run[1]}", states)
