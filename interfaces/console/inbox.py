"""What waits for somebody, and decisions on several at once, out of the API's answers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from domain.values import is_uuid
from interfaces.console.api import Api, Refused
from interfaces.console.approval_orders import decision_of

_APPROVALS = "/hitl/approvals"
_SHOWN = 100
_CODE = re.compile("[A-Z_]{1,64}|approved|rejected|pending")


async def waiting_for(api: Api, person: str) -> Mapping[str, Any]:
    """The approvals that wait for a person, those that are overdue first; a gateway of its own sees all."""
    whose = {"assignee": person} if person else {"status": "pending"}
    late = await api.get(_APPROVALS, overdue="true", limit=_SHOWN, **whose)
    all_of_them = await api.get(_APPROVALS, limit=_SHOWN, **whose)
    seen = {each["id"] for each in late["approvals"]}
    others = [each for each in all_of_them["approvals"] if each["id"] not in seen]
    others.sort(key=lambda each: each.get("dueAt", "9"))
    return {"overdue": late["approvals"], "others": others, "total": all_of_them["total"]}


async def decide(api: Api, person: str, form: Sequence[tuple[str, str]]) -> Sequence[str]:
    """The same decision on several, each on what was shown of it: what came of each, for ``told``.

    Raises:
        Refused: it was carried out on none.
    """
    chosen, fields = [value for name, value in form if name == "approval"], dict(form)
    if not chosen:
        return []
    decision = decision_of(person, fields)
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
