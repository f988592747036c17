"""What waits for somebody, what one approval asks for, and what is done with it, out of the API's answers."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from domain.values import is_uuid
from interfaces.console.api import Api, Refused

_APPROVALS = "/hitl/approvals"
_SHOWN = 100
_CODE = re.compile("[A-Z_]{1,64}|approved|rejected|pending")
_FACTS = ("amount", "riskScore", "subject", "payload")


async def waiting_for(api: Api, person: str) -> Mapping[str, Any]:
    """The approvals that wait for a person, those that are overdue first; a gateway of its own sees all."""
    whose = {"assignee": person} if person else {"status": "pending"}
    late = await api.get(_APPROVALS, overdue="true", limit=_SHOWN, **whose)
    all_of_them = await api.get(_APPROVALS, limit=_SHOWN, **whose)
    seen = {each["id"] for each in late["approvals"]}
    others = [each for each in all_of_them["approvals"] if each["id"] not in seen]
    others.sort(key=lambda each: each.get("dueAt", "9"))
    return {"overdue": late["approvals"], "others": others, "total": all_of_them["total"]}


async def approval(api: Api, id: str) -> Mapping[str, Any]:
    """One approval, and what of its facts has changed since somebody last agreed, or since it was asked."""
    found = await api.get(f"{_APPROVALS}/{id}")
    events = (await api.get(f"{_APPROVALS}/{id}/events", limit=_SHOWN))["events"]
    agreed = next((each["version"] for each in events if each["type"] == "approval.agreed"), None)
    before = await api.get(f"{_APPROVALS}/{id}", asOf=agreed or 1)
    changes = [
        {"name": name, "before": _shown(before.get(name)), "now": _shown(found.get(name))}
        for name in _FACTS
        if before.get(name) != found.get(name)
    ]
    due = found.get("dueAt")
    return {
        "approval": found,
        "changes": changes,
        "since": "the last agreement" if agreed else "it was asked for",
        "stage": next((each["name"] for each in found["stages"] or [] if each["status"] == "open"), None),
        "is_overdue": bool(due) and datetime.fromisoformat(due) < datetime.now(UTC),
    }


async def decide(api: Api, person: str, form: Sequence[tuple[str, str]]) -> Sequence[str]:
    """The same decision on several, each on what was shown of it: what came of each, for ``told``.

    Raises:
        Refused: it was carried out on none.
    """
    chosen, fields = [value for name, value in form if name == "approval"], dict(form)
    if not chosen:
        return []
    decision = _decision(person, fields)
    decisions = []
    for each in chosen:
        id, _, digest = each.partition(" ")
        decisions.append(
            {"approvalId": id, "decision": fields.get("do", ""), "payloadDigest": digest, **decision}
        )
    answer = await api.post(f"{_APPROVALS}/decisions", {"decisions": decisions}, fields.get("key", ""))
    await api.settle(_APPROVALS, limit=1)
    return [
        f"{each['approvalId']}.{each['approval']['status'] if 'approval' in each else each['error']['code']}"
        for each in answer["outcomes"]
    ]


async def told(api: Api, outcomes: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """What came of decisions, in words: out of an address, which anybody can write, and so not in its own."""
    shown = []
    for id, _, came in (each.partition(".") for each in outcomes[:_SHOWN]):
        if not is_uuid(id) or not _CODE.fullmatch(came):
            continue
        try:
            found = await api.get(f"{_APPROVALS}/{id.lower()}")
        except Refused:
            continue
        is_refused = came.isupper()
        words = came.removeprefix("HITL_APPROVAL_").replace("_", " ").lower()
        if is_refused and found["decidedBy"]:
            words += f": {found['decidedBy']} has {found['status']} it"
        shown.append({"approval": found, "words": words, "is_refused": is_refused})
    return shown


async def act(api: Api, person: str, id: str, form: Mapping[str, str]) -> None:
    """Carry out what a form of an approval's page asks for.

    Raises:
        Refused: the API did not.
    """
    what = form.get("do", "")
    match what:
        case "approve" | "reject":
            body = _decision(person, form) | {"payloadDigest": form.get("digest", "")}
            if stage := form.get("stage"):
                body["stage"] = stage
        case "comments":
            body = {"text": form.get("comment", "")}
        case "reassign":
            body = {"to": form.get("to", ""), "reason": form.get("comment", "")}
        case "claim" | "release":
            body = {}
        case _:
            raise Refused(400, "BAD_REQUEST", "the form asks for nothing that there is")
    await api.post(f"{_APPROVALS}/{id}/{what}", body, form.get("key", ""))
    await api.settle(f"{_APPROVALS}/{id}")


def _decision(person: str, form: Mapping[str, str]) -> dict[str, str]:
    """A decision's own fields; people are asked for the reason of a rejection, whatever the policy asks.

    Raises:
        Refused: there is none.
    """
    comment = form.get("comment", "").strip()
    if form.get("do") == "reject" and not comment:
        raise Refused(400, "VALIDATION_ERROR", "A rejection needs a reason.")
    return {"decidedBy": person, **({"comment": comment} if comment else {})}


def _shown(value: object) -> object:
    return "—" if value is None else value
