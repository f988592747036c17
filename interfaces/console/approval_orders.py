"""The actions on an approval's page: turns its forms into requests of the API."""

from collections.abc import Mapping
from typing import Any

from interfaces.console.api import Api, Refused
from interfaces.console.facts import changed_in

_APPROVALS = "/hitl/approvals"


async def act(api: Api, person: str, id: str, form: Mapping[str, str]) -> None:
    """Carry out the action of a form on an approval's page.

    Raises:
        Refused: the API has refused it, or there is no such action.
    """
    what = form.get("do", "")
    body = _body(what, person, form)
    await api.post(f"{_APPROVALS}/{id}/{what}", body, form.get("key", ""))
    await api.settle(f"{_APPROVALS}/{id}")


def decision_of(person: str, form: Mapping[str, str]) -> dict[str, str]:
    """Return the body of a decision. The console requires a reason for a rejection, even if the policy does
    not.

    Raises:
        Refused: the reason is missing, or the person is not known.
    """
    if not person:
        raise Refused(400, "VALIDATION_ERROR", "A decision needs your name, and the gateway has not sent it.")
    comment = form.get("comment", "").strip()
    if form.get("do") == "reject" and not comment:
        raise Refused(400, "VALIDATION_ERROR", "A rejection needs a reason.")
    told = {"decidedBy": person, "comment": comment, "onBehalfOf": form.get("for", "")}
    return {name: value for name, value in told.items() if value or name == "decidedBy"}


def _body(what: str, person: str, form: Mapping[str, str]) -> dict[str, Any]:
    match what:
        case "approve" | "reject":
            seen = {"payloadDigest": form.get("digest", ""), "stage": form.get("stage", "")}
            return decision_of(person, form) | {name: value for name, value in seen.items() if value}
        case "comments":
            return {"text": form.get("comment", "").strip()}
        case "reassign":
            to = "toGroup" if form.get("kind") == "group" else "to"
            return {to: form.get("to", "").strip(), "reason": form.get("reason", "").strip()}
        case "withdraw":
            return {"reason": form.get("reason", "").strip()}
        case "revise":
            reason = form.get("reason", "").strip()
            return changed_in(form) | ({"reason": reason} if reason else {})
        case "claim" | "release":
            return {}
    raise Refused(400, "BAD_REQUEST", "The form asks for an action that does not exist.")
