"""Pages of definitions: the tenant's own, followed by those that are shipped with the service."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from application.log_batches import PAGE_BYTES
from interfaces.rest.answers import list_body, stored_json
from interfaces.rest.cursors import next_cursor, place_after
from interfaces.rest.identity import Caller
from interfaces.rest.models import Paging
from interfaces.rest.service import Service
from projections.ports import Container, Query

_SHIPPED = "shipped"
"""In a cursor: it replaces the time, and means a place among the shipped definitions."""


async def definition_page(
    service: Service,
    request: Request,
    container: Container,
    caller: Caller,
    paging: Paging,
    shipped: Mapping[str, bytes],
) -> Response:
    """Return a page of all definitions. ``shipped`` are the shipped documents by name, in order."""
    after = _after(request, paging)
    own_ended = after is not None and after[0] == _SHIPPED
    page = await service.documents.query(
        container,
        caller.tenant,
        Query(after=None, limit=1) if own_ended else Query(after=after, limit=paging.limit, room=PAGE_BYTES),
    )
    bodies = [] if own_ended else [document.body for document in page.documents]
    next_after = page.next_after
    if own_ended or next_after is None:
        names = [name for name in shipped if not own_ended or after is None or name > after[1]]
        shown = names[: paging.limit - len(bodies)]
        bodies += [shipped[name] for name in shown]
        last = shown[-1] if shown else ""
        next_after = (_SHIPPED, last) if len(shown) < len(names) else None
    total = page.total + len(shipped)
    following = next_cursor(request, paging, next_after) if next_after else None
    return stored_json(list_body("definitions", bodies, total, following))


def _after(request: Request, paging: Paging) -> tuple[str, str] | None:
    place = place_after(request, paging, 2)
    return None if place is None else (place[0], place[1])
