"""One thing through time: its events, and it as it once was, out of the API's answers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from domain.values import is_uuid
from interfaces.console.api import Api, Document, Refused
from interfaces.console.filters import place_of
from interfaces.console.jobs import is_name
from interfaces.console.moments import as_instant, as_local

_PATHS = {"workflow": "/workflows", "approval": "/hitl/approvals", "job": "/jobs"}
"""What can be seen as it once was, by the name that the trail has for it."""

KINDS = tuple(_PATHS)
_EVENTS = 100
_NOTHING_YET = ("WORKFLOW_NOT_FOUND", "HITL_APPROVAL_NOT_FOUND", "JOB_NOT_FOUND")


async def thing(api: Api, kind: str, id: str, query: Mapping[str, str]) -> Mapping[str, Any]:
    """A thing as of a version, or a moment, that the address names, or now; with what was different before.

    Raises:
        Refused: there is no such thing, or that is no version or moment.
    """
    path = _path_of(kind, id)
    place = place_of(query, {})
    page = await api.get(f"{path}/events", limit=_EVENTS, **place.asked)
    events = page["events"]
    newest = int(page["total"])
    moment = as_instant(query.get("at", "").strip())
    version = query.get("version", "").strip()
    if not version and moment:
        version = str(_version_at(moment, events))
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
        "kind": kind,
        "id": id,
        "events": events,
        "newest": newest,
        "version": version,
        "at": as_local(moment),
        "is_now": is_now,
        "then": then,
        "event": next((each for each in events if str(each["version"]) == version), None),
        "changes": _changes(before or {}, then or {}) if version != "0" and not gone else (),
        "gone": gone,
        "pages": place.links(page["nextCursor"]),
    }


def _path_of(kind: str, id: str) -> str:
    is_one = is_name(id) if kind == "job" else is_uuid(id)
    if kind not in _PATHS or not is_one:
        raise Refused(404, "NOT_FOUND", "there is no such thing")
    return f"{_PATHS[kind]}/{quote(id)}"


async def _as_of(api: Api, path: str, as_of: str) -> Mapping[str, Any] | None:
    """The thing then; nothing where there was none yet."""
    if as_of == "0":
        return None
    try:
        found: Mapping[str, Any] = await api.get(path, asOf=as_of)
    except Refused as refused:
        if refused.code in _NOTHING_YET:
            return None
        raise
    return found


def _version_at(moment: str, events: Sequence[Mapping[str, Any]]) -> int:
    """In which version a thing was at a moment, as far as the events at hand tell.

    Raises:
        Refused: it is none.
    """
    then = _read(moment)
    oldest = int(events[-1]["version"]) if events else 1
    past = (int(each["version"]) for each in events if datetime.fromisoformat(each["timestamp"]) <= then)
    return next(past, oldest - 1)


def _read(moment: str) -> datetime:
    try:
        read = datetime.fromisoformat(moment.upper())
    except ValueError as error:
        raise Refused(400, "VALIDATION_ERROR", "at: must be a moment") from error
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _before(version: str) -> str:
    return str(int(version) - 1) if version.isascii() and version.isdigit() and int(version) else version


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Sequence[Document]:
    """The members that are not as they were."""
    return [
        Document(name=name, before=before.get(name), now=now.get(name))
        for name in [*now, *(each for each in before if each not in now)]
        if before.get(name) != now.get(name)
    ]
