"""Decisions on several approvals at once, and their outcomes."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.values import is_uuid
from interfaces.console.api import Api, Refused
from interfaces.console.approval_orders import decision_of

_APPROVALS = "/hitl/approvals"
_MOST = 100
_CAME = re.compile(r"([A-Z_]{1,64}|approved|rejected|pending)\.((?:[A-Za-z0-9_-]{22})+)")
_ID = 22
"""The length of an ID in an address. A hundred IDs in their usual form would exceed the 4 KiB that gateways
accept as a response's head, and the user would see an error although the decisions were taken."""


async def decide(api: Api, person: str, form: Sequence[tuple[str, str]]) -> Sequence[str]:
    """Send the same decision on several approvals, each on the facts and the stage that were shown. Return
    the outcomes for :func:`told`.

    Raises:
        Refused: none of them was carried out.
    """
    chosen, fields = [value for name, value in form if name == "approval"], dict(form)
    if not chosen:
        raise Refused(400, "VALIDATION_ERROR", "No approval was selected.")
    decision = decision_of(person, fields)
    decisions = []
    for each in chosen:
        id, _, seen = each.partition(" ")
        digest, _, stage = seen.partition(" ")
        shown = {"payloadDigest": digest, **({"stage": stage} if stage else {})}
        decisions.append({"approvalId": id, "decision": fields.get("do", ""), **shown, **decision})
    answer = await api.post(f"{_APPROVALS}/decisions", {"decisions": decisions}, fields.get("key", ""))
    await api.settle(_APPROVALS, limit=1)
    came: dict[str, list[str]] = {}
    for each in filter(lambda each: is_uuid(each["approvalId"]), answer["outcomes"]):
        code = each["approval"]["status"] if "approval" in each else each["error"]["code"]
        came.setdefault(code, []).append(each["approvalId"])
    return [outcome_of(code, ids) for code, ids in came.items()]


def outcome_of(code: str, ids: Sequence[str]) -> str:
    """Return an outcome and the approvals that had it, in the form for an address."""
    return f"{code}.{''.join(urlsafe_b64encode(UUID(id).bytes).decode()[:_ID] for id in ids)}"


async def told(api: Api, outcomes: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """Return the outcomes in an address in words. The address may be forged, so none of its text is shown."""
    shown = []
    for came, id in [each for outcome in outcomes for each in _read(outcome)][:_MOST]:
        try:
            found = await api.get(f"{_APPROVALS}/{id}")
        except Refused:
            continue
        is_refused = came.isupper()
        words = came.removeprefix("HITL_").removeprefix("APPROVAL_").replace("_", " ").lower()
        if is_refused and found["decidedBy"]:
            words += f": {found['decidedBy']} has already {found['status']} it"
        shown.append({"approval": found, "words": words, "is_refused": is_refused})
    return shown


def _read(outcome: str) -> Sequence[tuple[str, UUID]]:
    """Return the outcome's code with each ID, or nothing if it is not valid."""
    if not (found := _CAME.fullmatch(outcome)):
        return ()
    code, ids = found.groups()
    parts = (ids[at : at + _ID] for at in range(0, len(ids), _ID))
    return [(code, UUID(bytes=urlsafe_b64decode(f"{part}=="))) for part in parts]
