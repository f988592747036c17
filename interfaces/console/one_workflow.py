"""One workflow as people see it, out of the API's answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from interfaces.console.api import Api, Refused
from interfaces.console.drawing import drawing_of

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
