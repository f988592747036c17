"""How far a workflow is, out of its document and those of its ``map`` steps."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import floor

from projections.map_items import STATES, item_counts
from projections.ports import Json

_OVER = ("completed", "failed", "skipped", "cancelled")

_UNDER_WAY = ("running", "retrying")

ENDED = ("completed", "failed", "cancelled", "compensated", "compensation_failed")
"""The states that a workflow leaves by a retry alone."""


def map_steps(workflow: Json) -> Sequence[str]:
    """The ids of the ``map`` steps that have found their elements."""
    return [step["stepId"] for step in workflow["steps"] if "items" in step]


def progress_of(
    workflow: Json, steps: Mapping[str, Json], now: datetime, typical: timedelta | None = None
) -> Json:
    """What ``GET /workflows/{workflowId}/progress`` answers.

    ``steps`` are the documents of its ``map`` steps, by id; ``typical`` is how long such a workflow takes.
    Each step of the plan is the same share of the whole, a ``map`` step's by its items.
    """
    plan = workflow["steps"]
    counts = Counter(step["status"] for step in plan)
    ended_at = workflow.get("completedAt") if workflow["status"] in ENDED else None
    began = datetime.fromisoformat(workflow["startedAt"]) if "startedAt" in workflow else now
    until = datetime.fromisoformat(ended_at) if ended_at else now
    elapsed = max(timedelta(0), until - began)
    progress: Json = {
        "workflowId": workflow["workflowId"],
        "status": workflow["status"],
        "percent": _percent(workflow, steps),
        "steps": {"total": len(plan), **{state: counts[state] for state in STATES.values()}},
        "current": [step["stepType"] for step in plan if step["status"] in _UNDER_WAY],
        **({"startedAt": workflow["startedAt"]} if "startedAt" in workflow else {}),
        "elapsedMs": _milliseconds(elapsed),
    }
    mapped = [step for step in plan if "items" in step]
    if mapped:
        progress["items"] = [
            {
                "stepType": step["stepType"],
                "total": step["items"],
                **item_counts(steps.get(step["stepId"], {})),
            }
            for step in mapped
        ]
    if ended_at:
        progress["completedAt"] = ended_at
    elif typical is not None and workflow["status"] == "running":
        progress["estimatedRemainingMs"] = _milliseconds(max(timedelta(0), typical - elapsed))
    return progress


def _percent(workflow: Json, steps: Mapping[str, Json]) -> int:
    """In whole percent, rounded down: 100 means that every step has ended. One that waits for another of its
    key has no steps yet."""
    plan = workflow["steps"]
    if workflow["status"] == "completed":
        return 100
    if not plan:
        return 0
    return floor(100 * sum(_share(step, steps.get(step["stepId"], {})) for step in plan) / len(plan))


def _share(step: Json, map_step: Json) -> float:
    if step["status"] in _OVER:
        return 1.0
    if not step.get("items") or step["status"] not in _UNDER_WAY:
        return 0.0
    counts = item_counts(map_step)
    return min(1.0, sum(counts[state] for state in _OVER) / int(step["items"]))


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
