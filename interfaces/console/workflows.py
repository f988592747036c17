"""Workflows as people see them, and what is done with one, out of the API's answers."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from interfaces.console.api import Api, Document, Refused
from interfaces.console.drawing import drawing_of
from interfaces.console.input_form import fields_of, input_of

STATUSES = (
    *("pending", "running", "paused", "completed", "failed", "cancelled"),
    *("compensating", "compensated", "compensation_failed"),
)
_FILTERS = ("status", "definition", "opportunityId", "createdAfter", "createdBefore")
_PAGE = 50
_EVENTS = 100

ORDERS: Mapping[str, Sequence[str]] = {
    "pause": ("pending", "running", "compensating"),
    "resume": ("paused",),
    "cancel": ("pending", "running", "paused"),
    "retry": ("failed", "cancelled", "compensated", "compensation_failed"),
}
"""In which states an order is offered; whether it may be carried out, the API says."""

_NEED_REASON = ("pause", "cancel", "skip")
_OPEN = ("pending", "running", "retrying")


async def found(api: Api, query: Mapping[str, str]) -> Mapping[str, Any]:
    """A page of the workflows that filters leave, the newest first."""
    filters = {name: query[name].strip() for name in _FILTERS if query.get(name, "").strip()}
    cursor = {"cursor": query["cursor"]} if query.get("cursor") else {}
    page = await api.get("/workflows", limit=_PAGE, **filters, **cursor)
    following = page["nextCursor"]
    return {
        "workflows": page["workflows"],
        "total": page["total"],
        "filters": Document(filters),
        "is_first": not cursor,
        "following": urlencode({**filters, "cursor": following}) if following else None,
        "first": urlencode(filters),
        "statuses": STATUSES,
        "definitions": [each["name"] for each in await _definitions(api)],
    }


async def one(api: Api, id: str) -> Mapping[str, Any]:
    """A workflow: how far it is, its steps, what happened to it, and what can be done with it."""
    workflow = await api.get(f"/workflows/{id}")
    events = await api.get(f"/workflows/{id}/events", limit=_EVENTS)
    status = workflow["status"]
    return {
        "workflow": workflow,
        "progress": await api.get(f"/workflows/{id}/progress"),
        "drawing": drawing_of(workflow["steps"]),
        "executions": (await api.get(f"/workflows/{id}/executions", limit=_PAGE))["executions"],
        "events": events["events"],
        "orders": [name for name, states in ORDERS.items() if status in states],
        "step_orders": {step["stepId"]: _orders_of(step, status) for step in workflow["steps"]},
    }


async def to_start(api: Api, name: str) -> Mapping[str, Any]:
    """What can be started; with a name, the fields of that definition's input."""
    context: dict[str, Any] = {"definitions": await _definitions(api), "definition": None, "fields": ()}
    if name:
        context["definition"] = definition = await _definition(api, name)
        context["fields"] = fields_of(definition["inputSchema"])
    return context


async def start(api: Api, form: Mapping[str, str]) -> str:
    """Start what a form asks for; the workflow's id.

    Raises:
        Refused: the API did not, or a field cannot be read.
    """
    definition = await _definition(api, form.get("definition", ""))
    body: dict[str, Any] = {"definition": definition["name"], "version": definition["version"]}
    if opportunity := form.get("opportunityId", "").strip():
        body["opportunityId"] = opportunity
    if definition["inputSchema"] is not None:
        body["input"] = input_of(fields_of(definition["inputSchema"]), form)
    id = str((await api.post("/workflows", body, form.get("key", "")))["workflowId"])
    await api.settle(f"/workflows/{id}")
    return id


async def order(api: Api, id: str, form: Mapping[str, str]) -> None:
    """Carry out what a form of the workflow's page asks for: of it, or of one of its steps.

    Raises:
        Refused: the API did not, or it was no order.
    """
    what, _, step = form.get("do", "").partition(" ")
    if step:
        if what not in ("retry", "skip"):
            raise Refused(400, "BAD_REQUEST", "the form asks for nothing that there is")
        steps = (await api.get(f"/workflows/{id}"))["steps"]
        if step not in [each["stepId"] for each in steps]:
            raise Refused(404, "NOT_FOUND", "the workflow has no such step")
        path = f"/workflows/{id}/steps/{step}/{what}"
    elif what in ORDERS:
        path = f"/workflows/{id}/{what}"
    else:
        raise Refused(400, "BAD_REQUEST", "the form asks for nothing that there is")
    body = {"reason": form.get("reason", "").strip()} if what in _NEED_REASON else {}
    await api.post(path, body, form.get("key", ""))
    await api.settle(f"/workflows/{id}")


def _orders_of(step: Mapping[str, Any], workflow: str) -> Sequence[str]:
    if step.get("item") is not None or workflow not in ("pending", "running", "paused"):
        return ()
    retried = ("retry",) if step["status"] in ("failed", "retrying") else ()
    return (*retried, *(("skip",) if step["status"] in _OPEN else ()))


async def _definitions(api: Api) -> Sequence[Mapping[str, Any]]:
    return [
        each
        for each in (await api.get("/workflow-definitions", limit=100))["definitions"]
        if each["status"] == "active"
    ]


async def _definition(api: Api, name: str) -> Mapping[str, Any]:
    """One that there is: its name goes into no path unseen.

    Raises:
        Refused: there is none.
    """
    known = {each["name"]: each for each in await _definitions(api)}
    if name not in known:
        raise Refused(404, "NOT_FOUND", "there is no such definition")
    return known[name]
