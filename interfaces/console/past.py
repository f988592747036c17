"""The history of one object: its events and its earlier states, read from the API."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from interfaces.console.api import Api, Document, Refused
from interfaces.console.filters import place_of
from interfaces.console.moments import as_instant, as_local
from interfaces.console.things import Thing, thing_of

_EVENTS = 100
_ONE_OF = 20
"""How many events to search for one of the object: other objects may have the same ID in the trail, as a
job's backfills do."""

_NOTHING_YET = (
    *("WORKFLOW_NOT_FOUND", "HITL_APPROVAL_NOT_FOUND", "JOB_NOT_FOUND"),
    "BACKFILL_NOT_FOUND",
)


async def thing(api: Api, kind: str, id: str, query: Mapping[str, str]) -> Mapping[str, Any]:
    """Return an object with its events, as it is now or was at the version or time in the address.

    Raises:
        Refused: there is no such object, or the version or time is not valid.
    """
    found = await thing_of(api, kind, id)
    place = place_of(query, {})
    page = await api.get(f"{found.path}/events", limit=_EVENTS, **place.asked)
    then = (
        await _then(api, found, page, query) if found.has_past else await _now(api, found.path, page, query)
    )
    return {
        "kind": kind,
        "id": id,
        "has_past": found.has_past,
        "home": found.home(then["then"]),
        "events": page["events"],
        "pages": place.links(page["nextCursor"]),
        **then,
    }


async def _now(api: Api, path: str, page: Mapping[str, Any], query: Mapping[str, str]) -> Mapping[str, Any]:
    """Return an object without earlier states: its current state, and the event that the address names."""
    version = query.get("version", "").strip()
    return {
        "newest": page["total"],
        "version": version,
        "is_now": True,
        "then": await api.get(path),
        "event": _named(version, page["events"]),
        "changes": (),
        "gone": None,
    }


async def _then(
    api: Api, found: Thing, page: Mapping[str, Any], query: Mapping[str, str]
) -> Mapping[str, Any]:
    """Return an object as it was at the version or time, and what that version has changed."""
    events, path = page["events"], found.path
    newest = int(page["total"])
    version = query.get("version", "").strip()
    moment = "" if version else as_instant(query.get("at", "").strip())
    if re.fullmatch("[1-9][0-9]{0,8}", version) and int(version) > newest:
        raise Refused(404, "NOT_FOUND", f"There is no version {version} yet; the newest is {newest}.")
    if not version and moment:
        version = str(await _version_at(api, found, moment, events))
    elif not version:
        version = str(newest)
    is_now = version == str(newest)
    then, before, gone = None, None, None
    try:
        then = await api.get(path) if is_now else await _as_of(api, path, moment or version)
        before = await _as_of(api, path, _before(version))
    except Refused as refused:
        if refused.code != "ARCHIVED":
            raise
        gone = refused.message
    return {
        "newest": newest,
        "version": version,
        "at": as_local(moment),
        "is_now": is_now,
        "then": then,
        "event": _named(version, events),
        "changes": _changes(before or {}, then or {}) if version != "0" and not gone else (),
        "gone": gone,
    }


def _named(version: str, events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((each for each in events if str(each["version"]) == version), None)


async def _as_of(api: Api, path: str, as_of: str) -> Mapping[str, Any] | None:
    """Return the object at a version or time, or None if it did not exist yet."""
    if as_of == "0":
        return None
    try:
        found: Mapping[str, Any] = await api.get(path, asOf=as_of)
    except Refused as refused:
        if refused.code in _NOTHING_YET:
            return None
        raise
    return found


async def _version_at(api: Api, found: Thing, moment: str, events: Sequence[Mapping[str, Any]]) -> int:
    """Return the version of an object at a time, 0 if it did not exist yet. It is found in the given events,
    or else in the audit trail.

    Raises:
        Refused: it is not a time.
    """
    then = _read(moment)
    past = (int(each["version"]) for each in events if datetime.fromisoformat(each["timestamp"]) <= then)
    if version := next(past, 0):
        return version
    if not events or events[-1]["version"] == 1:
        return 0
    until = f"{then + timedelta(milliseconds=1):%Y-%m-%dT%H:%M:%S.%fZ}"
    asked = {"aggregateId": found.id, "before": until, "order": "desc"}
    rows = (await api.get("/audit/events", limit=_ONE_OF, **asked))["events"]
    return next((int(each["version"]) for each in rows if each["aggregate"] == found.kind), 0)


def _read(moment: str) -> datetime:
    try:
        read = datetime.fromisoformat(moment.upper())
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise Refused(400, "VALIDATION_ERROR", "at: must be a date and time") from error


def _before(version: str) -> str:
    return str(int(version) - 1) if version.isascii() and version.isdigit() and int(version) else version


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Sequence[Document]:
    """Return the members that have changed."""
    return [
        Document(name=name, before=before.get(name), now=now.get(name))
        for name in [*now, *(each for each in before if each not in now)]
        if before.get(name) != now.get(name)
    ]
