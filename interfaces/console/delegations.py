"""The delegations of people who are away, read from the API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from domain.values import is_uuid
from interfaces.console.api import Api, Document, Refused
from interfaces.console.moments import as_instant

_DELEGATIONS = "/hitl/delegations"
_SHOWN = 50
_LOOKED_AT = 200
_FIELDS = ("by", "to", "startsAt", "endsAt", "reason")
_TIMES = ("startsAt", "endsAt")


async def of_somebody(api: Api, person: str, query: Mapping[str, str], now: datetime) -> Mapping[str, Any]:
    """Return the delegations by a person and those to them; all delegations if there is no person."""
    if not person:
        return {"whose": "", "given": await _page(api, query, now, "given"), "taken": None}
    return {
        "whose": person,
        "given": await _page(api, query, now, "given", by=person),
        "taken": await _page(api, query, now, "taken", to=person),
    }


async def principals_of(api: Api, person: str, now: datetime) -> Sequence[str]:
    """Return the people on whose behalf a person may decide, directly or through others. Only the newest
    delegations to each are considered."""
    found, pending = set[str](), [person] if person else []
    while pending:
        to = pending.pop()
        for each in (await api.get(_DELEGATIONS, to=to, limit=_LOOKED_AT))["delegations"]:
            if _state_of(each, now) == "active" and each["by"] not in {person, *found}:
                found.add(each["by"])
                pending.append(each["by"])
    return sorted(found)


async def act(api: Api, form: Mapping[str, str]) -> None:
    """Carry out the action of a form on the page.

    Raises:
        Refused: the API has refused it, or there is no such action.
    """
    what, _, id = form.get("do", "").partition(" ")
    if what == "delegate":
        filled = {name: form.get(name, "").strip() for name in _FIELDS}
        body = {
            name: as_instant(value) if name in _TIMES else value for name, value in filled.items() if value
        }
        await api.post(_DELEGATIONS, body, form.get("key", ""))
    elif what == "end" and is_uuid(id):
        await api.delete(f"{_DELEGATIONS}/{id}", form.get("key", ""))
    else:
        raise Refused(400, "BAD_REQUEST", "The form asks for an action that does not exist.")
    await api.settle(_DELEGATIONS, limit=1)


async def _page(api: Api, query: Mapping[str, str], now: datetime, name: str, **whose: str) -> Document:
    """Return a page of one of the lists. Each list has its own cursor in the address."""
    cursor = {"cursor": query[name]} if query.get(name) else {}
    page = await api.get(_DELEGATIONS, limit=_SHOWN, **whose, **cursor)
    following = page["nextCursor"]
    others = {each: value for each, value in query.items() if each != name}
    return Document(
        delegations=[Document(each, state=_state_of(each, now)) for each in page["delegations"]],
        total=page["total"],
        following=urlencode({**others, name: following}) if following else None,
    )


def _state_of(delegation: Mapping[str, Any], now: datetime) -> str:
    if delegation["endedAt"]:
        return "ended early"
    if datetime.fromisoformat(delegation["endsAt"]) <= now:
        return "expired"
    return "upcoming" if datetime.fromisoformat(delegation["startsAt"]) > now else "active"
