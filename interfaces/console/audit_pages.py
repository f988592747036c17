"""The pages of the audit trail: all events, the history of one object, cause and effect, the hash chain."""

from collections.abc import Sequence

from starlette.responses import Response

from interfaces.console import audit, causes, past
from interfaces.console.api import Refused
from interfaces.console.filters import filters_of, shown_of
from interfaces.console.visit import HOME, Handler, Visit

_ALL = f"{HOME}/audit"


async def show(visit: Visit) -> Response:
    """Show the events that match the filters in the address. If the API refuses the filters, show them
    again."""
    try:
        context = await audit.trail(visit.api, visit.query, visit.now)
    except Refused as refused:
        shown = shown_of(filters_of(visit.query, audit.FILTERS))
        context = {
            **await audit.trail(visit.api, {}, visit.now),
            "events": (),
            "total": 0,
            "pages": None,
            "shown": shown,
        }
        return visit.page("audit/trail.html", context, refused)
    return visit.page("audit/trail.html", context)


async def show_tree(visit: Visit) -> Response:
    """Show the tree of causes and effects."""
    return visit.page("audit/tree.html", await causes.tree(visit.api, visit.query))


async def show_chain(visit: Visit) -> Response:
    """Show whether the chain is intact."""
    return visit.page("audit/chain.html", await audit.chain(visit.api, visit.query.get("cursor", "")))


async def show_thing(visit: Visit) -> Response:
    """Show one object, as it is now or was at a version or time."""
    kind, id = (str(visit.request.path_params[part]) for part in ("kind", "id"))
    return visit.page("audit/thing.html", await past.thing(visit.api, kind, id, visit.query))


async def export(visit: Visit) -> Response:
    """Download the trail."""
    return audit.export(visit.api, visit.query)


ROUTES: Sequence[tuple[str, str, Handler]] = (
    ("GET", _ALL, show),
    ("GET", f"{_ALL}/causes", show_tree),
    ("GET", f"{_ALL}/chain", show_chain),
    ("GET", f"{_ALL}/export", export),
    ("GET", f"{_ALL}/{{kind}}/{{id}}", show_thing),
)
