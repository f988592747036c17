"""The definitions from which workflows can be started, read from the API."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from interfaces.console.api import Api, Refused
from interfaces.console.jobs import is_name

_PAGE = 200


async def startable(api: Api) -> Sequence[Mapping[str, Any]]:
    """Return all active definitions, in the API's order."""
    found: list[Mapping[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await api.get("/workflow-definitions", limit=_PAGE, **cursor)
        found += [each for each in page["definitions"] if each["status"] == "active"]
        if not page["nextCursor"]:
            return found
        cursor = {"cursor": page["nextCursor"]}


async def definition(api: Api, name: str, **which: int) -> Mapping[str, Any]:
    """Return an active definition, or with ``version`` that version of a definition, even if it is retired.

    Raises:
        Refused: there is no such definition.
    """
    if not is_name(name):
        raise _none()
    found: Mapping[str, Any] = await api.get(f"/workflow-definitions/{quote(name)}", **which)
    if not which and found["status"] != "active":
        raise _none()
    return found


def _none() -> Refused:
    return Refused(404, "NOT_FOUND", "There is no such definition.")
