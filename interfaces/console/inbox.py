"""What waits for somebody, what one approval asks for, and what is done with it, out of the API's answers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from interfaces.console.api import Api, Refused

_APPROVALS = "/hitl/approvals"
_SHOWN = 100
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
        "payload": _shown(found["payload"]) if "payload" in found else None,
        "changes": changes,
        "since": "the last agreement" if agreed else "it was asked for",
        "is_overdue": bool(due) and datetime.fromisoformat(due) < datetime.now(UTC),
    }


async def decide(
    api: Api, person: str, chosen: Sequence[str], form: Mapping[str, str]
) -> Sequence[Mapping[str, Any]]:
    """The same decision on several, each on what was shown of it; ``chosen`` are ids with their digests."""
    decisions = []
    for each in chosen:
        id, _, digest = each.partition(" ")
        own = _decision(person, form) | {"payloadDigest": digest}
        decisions.append({"approvalId": id, "decision": form.get("do", ""), **own})
    outcomes: Sequence[Mapping[str, Any]] = (
        await api.post(f"{_APPROVALS}/decisions", {"decisions": decisions})
    )["outcomes"]
    return outcomes


async def act(api: Api, person: str, id: str, form: Mapping[str, str]) -> None:
    """Carry out what a form of an approval's page asks for.

    Raises:
        Refused: the API did not.
    """
    what = form.get("do", "")
    match what:
        case "approve" | "reject":
            body = _decision(person, form) | {"payloadDigest": form.get("digest", "")}
        case "comments":
            body = {"text": form.get("comment", "")}
        case "reassign":
            body = {"to": form.get("to", ""), "reason": form.get("comment", "")}
        case "claim" | "release":
            body = {}
        case _:
            raise Refused(400, "BAD_REQUEST", "the form asks for nothing that there is")
    await api.post(f"{_APPROVALS}/{id}/{what}", body)
    try:
        await api.get(f"{_APPROVALS}/{id}")
    except Refused as refused:
        if refused.code != "NOT_YET":
            raise


def _decision(person: str, form: Mapping[str, str]) -> dict[str, str]:
    comment = form.get("comment", "").strip()
    return {"decidedBy": person, **({"comment": comment} if comment else {})}


def _shown(value: object) -> str:
    if isinstance(value, (dict, list)):
        return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return "—" if value is None else str(value)
