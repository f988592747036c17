"""The actions on a workflow and its steps, by the forms of its page."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.values import is_uuid
from interfaces.console import retrying
from interfaces.console.api import Api, Refused

_ORDERS: Mapping[str, Sequence[str]] = {
    "pause": ("running",),
    "resume": ("paused",),
    "cancel": ("pending", "running", "paused"),
    "retry": ("completed", "failed", "cancelled", "compensation_failed"),
}
"""The states in which each action is offered. Whether it is allowed, the API decides."""

_GOING_ON = ("running", "paused")

_UNDOING = ("compensating", "compensation_failed")

_OPEN = ("pending", "running", "retrying")

_OF_PEOPLE = ("approval", "workflow")
"""Kinds of steps that an operator may skip."""


def orders_of(workflow: Mapping[str, Any]) -> Sequence[str]:
    """Return the actions that are offered for a workflow."""
    return [name for name, states in _ORDERS.items() if workflow["status"] in states]


def step_orders_of(
    step: Mapping[str, Any], workflow: Mapping[str, Any], *, is_operator: bool
) -> Sequence[str]:
    """Return the actions that are offered for a step. For a compensation, there are some while the workflow
    is being undone or if that has failed."""
    undoes = step["stepType"].endswith(".compensation")
    if workflow["status"] not in (_UNDOING if undoes else _GOING_ON) or _is_left_over(step, workflow):
        return ()
    retried = ("retry",) if step["status"] in ("failed", "retrying") else ()
    may_be_skipped = step["status"] in ((*_OPEN, "failed") if undoes else _OPEN)
    skipped = ("skip",) if may_be_skipped and (is_operator or step["kind"] not in _OF_PEOPLE) else ()
    return (*retried, *skipped)


def _is_left_over(step: Mapping[str, Any], workflow: Mapping[str, Any]) -> bool:
    """Return whether a step is an item of a ``map`` step that has ended or has started again since."""
    if step.get("item") is None:
        return False
    if step.get("outdated"):
        return True
    whole = step["stepType"].partition("[")[0]
    return any(each["stepType"] == whole and each["status"] not in _OPEN for each in workflow["steps"])


async def order(api: Api, id: str, form: Mapping[str, str]) -> None:
    """Carry out the action of a form on the workflow's page, on the workflow or on one of its steps.

    Raises:
        Refused: the API has refused it, or there is no such action.
    """
    what, _, step = form.get("do", "").partition(" ")
    if what not in (("retry", "skip") if step else _ORDERS):
        raise Refused(400, "BAD_REQUEST", "The form asks for an action that does not exist.")
    if step and not is_uuid(step):
        raise Refused(404, "NOT_FOUND", "The workflow has no such step.")
    path = f"/workflows/{id}/steps/{step}/{what}" if step else f"/workflows/{id}/{what}"
    body: dict[str, Any] = {}
    if reason := form.get("reason", "").strip():
        body["reason"] = reason
    if what == "retry" and not step:
        body |= await retrying.asked_by(api, await api.get(f"/workflows/{id}"), form)
    await api.post(path, body, form.get("key", ""))
    await api.settle(f"/workflows/{id}")
