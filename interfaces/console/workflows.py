"""The list of a tenant's workflows with filters, and the search, read from the API."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from domain.values import is_uuid
from interfaces.console.api import Api, Refused
from interfaces.console.definitions import startable
from interfaces.console.filters import filters_of, place_of, shown_of
from interfaces.console.jobs import is_name

STATUSES = (
    *("pending", "running", "paused", "completed", "failed", "cancelled"),
    *("compensating", "compensated", "compensation_failed"),
)
_FILTERS = ("status", "definition", "opportunityId", "createdAfter", "createdBefore")
_PAGE = 50
_UNDER_ONE_CORRELATION = 200


async def found(api: Api, query: Mapping[str, str]) -> Mapping[str, Any]:
    """Return a page of the workflows that match the filters, newest first.

    Raises:
        Refused: a filter or the cursor is not valid.
    """
    filters = filters_of(query, _FILTERS)
    place = place_of(query, filters)
    page = await api.get("/workflows", limit=_PAGE, **filters, **place.asked)
    return {
        **await around(api, query),
        "workflows": page["workflows"],
        "total": page["total"],
        "pages": place.links(page["nextCursor"]),
    }


async def around(api: Api, query: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what the page shows besides the list: the filters, and the values to choose from."""
    return {
        "shown": shown_of(filters_of(query, _FILTERS)),
        "sought": query.get("q", "").strip(),
        "statuses": STATUSES,
        "definitions": [each["name"] for each in await startable(api)],
    }


async def sought(api: Api, text: str) -> str:
    """Return the console's page for a search: one workflow, the workflows of a deal or of a definition, or
    the events with a correlation ID.

    Raises:
        Refused: nothing matches.
    """
    if is_uuid(text) and await _answer(api, f"/workflows/{text}"):
        return f"/workflows/{text.lower()}"
    for name in ("opportunityId", "definition"):
        page = await _answer(api, "/workflows", limit=1, **{name: text})
        if page and page["total"]:
            return f"/workflows?{urlencode({name: text})}"
    if is_name(text) and await _answer(api, f"/workflow-definitions/{quote(text)}"):
        return f"/workflows?{urlencode({'definition': text})}"
    page = await _answer(api, "/audit/events", limit=_UNDER_ONE_CORRELATION, correlationId=text)
    if not page or not page["total"]:
        raise Refused(404, "NOT_FOUND", f"No workflow, deal, definition or correlation ID is {text}.")
    ids = {each["aggregateId"] for each in page["events"] if each["aggregate"] == "workflow"}
    if len(ids) == 1:
        return f"/workflows/{ids.pop()}"
    return f"/audit/causes?{urlencode({'correlationId': text})}"


async def _answer(api: Api, path: str, **query: str | int) -> Any:
    """Return the API's response, or None if nothing has that ID or name, or if it is not valid."""
    try:
        return await api.get(path, **query)
    except Refused as refused:
        if refused.status not in (400, 404):
            raise
        return None
