"""The page of one workflow, read from the API."""

from collections.abc import Mapping, Sequence
from typing import Any

from interfaces.console import retrying
from interfaces.console.api import Api, Document
from interfaces.console.drawing import drawing_of
from interfaces.console.filters import Links, place_of
from interfaces.console.workflow_orders import orders_of, step_orders_of

_LISTS: Mapping[str, int] = {"events": 50, "executions": 20, "steps": 50}
"""The lists of the page, each with its own pagination, and how many items they show."""


async def one(
    api: Api,
    id: str,
    query: Mapping[str, str],
    form: Mapping[str, str] | None = None,
    *,
    is_operator: bool,
) -> Mapping[str, Any]:
    """Return a workflow with its progress, steps, events and possible actions. The steps are not older than
    the events, so that a page that is reloaded because of an event shows its effect.

    ``form`` is a form that was refused, whose fields are filled in again.
    """
    events, event_pages = await _listed(api, id, "events", query)
    workflow = await api.get_at(f"/workflows/{id}", events["total"])
    executions, execution_pages = await _listed(api, id, "executions", query)
    more, more_pages = await _listed(api, id, "steps", query)
    planned = {step["stepId"] for step in workflow["steps"]}
    unplanned = sorted((step for step in more["steps"] if step["stepId"] not in planned), key=_place_in_plan)
    orders = orders_of(workflow)
    return {
        "workflow": workflow,
        "progress": await api.get(f"/workflows/{id}/progress"),
        "drawing": drawing_of(workflow["steps"]),
        "executions": executions["executions"],
        "execution_pages": execution_pages,
        "events": events["events"],
        "event_pages": event_pages,
        "unplanned": unplanned,
        "unplanned_total": more["total"] - len(planned),
        "unplanned_pages": more_pages,
        "orders": orders,
        "again": await retrying.asked_of(api, workflow) if "retry" in orders else None,
        "step_orders": {
            step["stepId"]: step_orders_of(step, workflow, is_operator=is_operator)
            for step in (*workflow["steps"], *unplanned)
        },
        "given": Document(form or {}),
        "given_to": (form or {}).get("do", "").partition(" ")[2],
    }


def _place_in_plan(step: Mapping[str, Any]) -> tuple[str, int]:
    """Return the key that sorts a step's items in the order of their elements."""
    return step["stepType"].partition("[")[0], step["item"] or 0


async def _listed(api: Api, id: str, name: str, query: Mapping[str, str]) -> tuple[Mapping[str, Any], Links]:
    others: Sequence[str] = [each for each in _LISTS if each != name and query.get(each)]
    place = place_of(query, {each: query[each] for each in others}, name)
    page = await api.get(f"/workflows/{id}/{name}", limit=_LISTS[name], **place.asked)
    return page, place.links(page["nextCursor"])
