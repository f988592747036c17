"""The approvals that wait for a person, or that match filters, read from the API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from interfaces.console.api import Api, Document
from interfaces.console.approval import open_stage_of
from interfaces.console.delegations import principals_of

STATUSES = ("pending", "approved", "rejected", "withdrawn", "expired")
ANY = "any"

_APPROVALS = "/hitl/approvals"
_FILTERS = ("status", "opportunityId")
_SHOWN = 50
"""How many overdue approvals, and how many others, a page has: together no more than one request can
decide."""

_LOOKS = 10
"""How many of the API's pages are read to find approvals that are not overdue."""

Rows = Sequence[Mapping[str, Any]]


async def found(api: Api, person: str, query: Mapping[str, str], now: datetime) -> Mapping[str, Any]:
    """Return a page of the approvals that wait for a person (without a person, of all pending ones), or that
    match the filters.

    Pending approvals are listed with all overdue ones first. The others follow, newest first; within a page
    they are sorted by due date.
    """
    filters = filters_of(query)
    status = filters["status"]
    asked = {} if status == ANY else {"status": status} if status else _waiting_for(person)
    if filters["opportunityId"]:
        asked["opportunityId"] = filters["opportunityId"]
    is_pending = status in (None, "pending")
    if is_pending:
        rows, total, following = await _pending(api, asked, query, now)
    else:
        rows, total, following = await _newest(api, asked, query)
    return {
        **nothing(query),
        "approvals": [Document(each, openStage=open_stage_of(each)) for each in rows],
        "total": total,
        "following": urlencode({**filters, **following}) if following else None,
        "principals": await principals_of(api, person, now) if is_pending and rows else (),
    }


def nothing(query: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the page without approvals, for filters that were refused."""
    filters, places = filters_of(query), {name: query[name] for name in ("late", "cursor") if name in query}
    return {
        "approvals": (),
        "total": 0,
        "filters": filters,
        "statuses": STATUSES,
        "is_pending": filters["status"] in (None, "pending"),
        "is_first": not places,
        "first": urlencode(filters),
        "address": urlencode({**filters, **places}),
        "following": None,
        "principals": (),
    }


def filters_of(query: Mapping[str, str]) -> Document:
    """Return the filters in the address."""
    return Document({name: query[name].strip() for name in _FILTERS if query.get(name, "").strip()})


def _waiting_for(person: str) -> dict[str, str]:
    return {"assignee": person} if person else {"status": "pending"}


async def _newest(
    api: Api, asked: Mapping[str, str], query: Mapping[str, str]
) -> tuple[Rows, int, Mapping[str, str]]:
    page = await api.get(_APPROVALS, limit=_SHOWN, **asked, **_place(query.get("cursor")))
    return page["approvals"], page["total"], _place(page["nextCursor"])


async def _pending(
    api: Api, asked: Mapping[str, str], query: Mapping[str, str], now: datetime
) -> tuple[Rows, int, Mapping[str, str]]:
    cursor = query.get("cursor")
    overdue: Rows = ()
    if not cursor:
        late = _place(query.get("late"))
        page = await api.get(_APPROVALS, overdue="true", limit=_SHOWN, **asked, **late)
        overdue = [Document(each, isOverdue=True) for each in page["approvals"]]
        if page["nextCursor"]:
            total = (await api.get(_APPROVALS, limit=1, **asked))["total"]
            return overdue, total, {"late": page["nextCursor"]}
    others: list[Mapping[str, Any]] = []
    for _ in range(_LOOKS):
        page = await api.get(_APPROVALS, limit=_SHOWN, **asked, **_place(cursor))
        others = [each for each in page["approvals"] if not _is_overdue(each, now)]
        cursor = page["nextCursor"]
        if others or not cursor:
            break
    others.sort(key=lambda each: each.get("dueAt", "9"))
    return [*overdue, *others], page["total"], _place(cursor)


def _place(cursor: str | None) -> dict[str, str]:
    return {"cursor": cursor} if cursor else {}


def _is_overdue(approval: Mapping[str, Any], now: datetime) -> bool:
    due = approval.get("dueAt")
    return due is not None and datetime.fromisoformat(due) < now
