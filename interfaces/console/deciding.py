"""Decisions on several approvals at once, and what came of each."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from domain.values import is_uuid
from interfaces.console.api import Api, Refused
from interfaces.console.approval_orders import decision_of

_APPROVALS = "/hitl/approvals"
_MOST = 100
_CODE = re.compile("[A-Z_]{1,64}|approved|rejected|pending")


async def decide(api: Api, person: str, form: Sequence[tuple[str, str]]) -> Sequence[str]:
    """The same decision on several, each on what was shown of it: what came of each, for ``told``.

    Raises:
        Refused: it was carried out on none.
    """
    chosen, fields = [value for name, value in form if name == "approval"], dict(form)
    if not chosen:
        raise Refused(400, "VALIDATION_ERROR", "No approval was chosen.")
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
    for id, _, came in (each.partition(".") for each in outcomes[:_MOST]):
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
