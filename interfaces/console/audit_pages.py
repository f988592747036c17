"""The pages of the audit trail: all of it, one thing through time, cause and effect, the chain."""

from collections.abc import Sequence

from starlette.responses import Response

from interfaces.console import audit, causes, past
from interfaces.console.api import Refused
from interfaces.console.filters import filters_of, shown_of
from interfaces.console.visit import HOME, Handler, Visit

_ALL = f"{HOME}/audit"


async def show(visit: Visit) -> Response:
    """The events that the filters in the address leave; those that the API does not take are still there."""
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
    """What led to what."""
    return visit.page("audit/tree.html", await causes.tree(visit.api, visit.query))


async def show_chain(visit: Visit) -> Response:
    """Whether the chain holds."""
    return visit.page("audit/chain.html", await audit.chain(visit.api, visit.query.get("cursor", "")))


async def show_thing(visit: Visit) -> Response:
    """One thing, as it is or as it once was."""
    kind, id = (str(visit.request.path_params[part]) for part in ("kind", "id"))
    return visit.page("audit/thing.html", await past.thing(visit.api, kind, id, visit.query))


async def export(visit: Visit) -> Response:
    """The trail to take away."""
    return audit.export(visit.api, visit.query)


ROUTES: Sequence[tuple[str, str, Handler]] = (
    ("GET", _ALL, show),
    ("GET", f"{_ALL}/causes", show_tree),
    ("GET", f"{_ALL}/chain", show_chain),
    ("GET", f"{_ALL}/export", export),
    ("GET", f"{_ALL}/{{kind}}/{{id}}", show_thing),
)
