"""The page of one approval, read from the API: its facts and their changes, who is still asked, its
history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from interfaces.console.api import Api, Document, Refused
from interfaces.console.delegations import principals_of
from interfaces.console.facts import FACTS, seen_of
from interfaces.console.history import told

_APPROVALS = "/hitl/approvals"
_EVENTS = 100


async def one(api: Api, id: str, person: str, now: datetime, *, is_operator: bool) -> Mapping[str, Any]:
    """Return an approval, and which of its facts have changed since the last agreement or since the
    request."""
    path = f"{_APPROVALS}/{id}"
    found = await api.get(path)
    page = await api.get(f"{path}/events", limit=_EVENTS)
    agreed = await _last_agreement(api, path, page)
    before, gone = await _as_of(api, path, agreed or 1)
    is_pending, due = found["status"] == "pending", found["dueAt"]
    stages = found["stages"] or []
    return {
        "approval": found,
        "changes": [
            {"name": name, "before": _shown(before.get(name)), "now": _shown(found.get(name))}
            for name in FACTS
            if not gone and before.get(name) != found.get(name)
        ],
        "gone": gone,
        "since": "the last agreement" if agreed else "it was requested",
        "stage": open_stage_of(found),
        "stages": [_stage(each, found) for each in stages],
        "is_overdue": is_pending and bool(due) and datetime.fromisoformat(due) < now,
        "history": [told(each, [stage["name"] for stage in stages]) for each in page["events"]],
        "has_more": page["nextCursor"] is not None,
        "principals": await principals_of(api, person, now) if is_pending else (),
        "is_askers": is_pending and (is_operator or person in (found["requestedBy"], found["ownerId"])),
        "seen": seen_of(found),
    }


def open_stage_of(approval: Mapping[str, Any]) -> str | None:
    """Return the name of the open stage, or None if there is none."""
    stages = approval["stages"] or ()
    return next((each["name"] for each in stages if each["status"] == "open"), None)


async def _as_of(api: Api, path: str, version: int) -> tuple[Mapping[str, Any], str | None]:
    """Return the approval in a version, or if its events are archived, the API's message about that."""
    try:
        return await api.get(path, asOf=version), None
    except Refused as refused:
        if refused.code != "ARCHIVED":
            raise
        return {}, refused.message


async def _last_agreement(api: Api, path: str, page: Mapping[str, Any]) -> int | None:
    """Return the version of the last agreement."""
    while True:
        for each in page["events"]:
            if each["type"] == "approval.agreed":
                return int(each["version"])
        if page["nextCursor"] is None:
            return None
        page = await api.get(f"{path}/events", limit=_EVENTS, cursor=page["nextCursor"])


def _stage(stage: Mapping[str, Any], approval: Mapping[str, Any]) -> Document:
    """Return a stage: who is asked, who has decided what, and whom it still waits for."""
    is_open = stage["status"] == "open" and approval["status"] == "pending"
    needed = stage["missing"] if stage["missing"] is not None else _needed(stage)
    asked = ", ".join(_asked(each) for each in stage["approvers"])
    return Document(
        name=stage["name"],
        status=stage["status"],
        asked=asked if stage["agree"] == "all" else f"any {stage['agree']} among {asked}",
        votes=stage["votes"],
        waits_for=approval["assignees"] if is_open else (),
        not_for=sorted({*approval["settled"], *(approval["handedOn"] or ())}) if is_open else (),
        missing=needed if is_open else None,
    )


def _needed(stage: Mapping[str, Any]) -> int | None:
    """Return how many have to agree, or None if a whole group is asked, whose size is not known here."""
    if stage["agree"] != "all":
        return int(stage["agree"])
    seats: Sequence[object] = [1 if each["user"] else each["count"] for each in stage["approvers"]]
    counted = [each for each in seats if isinstance(each, int)]
    return sum(counted) if len(counted) == len(seats) else None


def _asked(approver: Mapping[str, Any]) -> str:
    if approver["user"]:
        return str(approver["user"])
    kind = "group" if approver["group"] else "role"
    return f"{approver['count']} of {kind} {approver[kind]}"


def _shown(value: object) -> object:
    return "—" if value is None else value
