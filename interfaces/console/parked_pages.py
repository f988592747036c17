"""The pages of parked messages, which can never be handled: the oldest ones, and one with its actions."""

from collections.abc import Sequence

from starlette.responses import Response

from interfaces.console.api import Document, Refused
from interfaces.console.visit import HOME, Handler, Visit

_API = "/system/parked-messages"
_ALL = f"{HOME}/system/parked"
_ONE = f"{_ALL}/{{id}}"


async def show(visit: Visit) -> Response:
    """Show the oldest messages."""
    return await _list_of(visit)


async def show_one(visit: Visit) -> Response:
    """Show one message with its payload."""
    message = await visit.api.get(f"{_API}/{visit.id_of('parked message')}")
    return visit.page("system/parked_message.html", {"message": message, "given": Document()})


async def act(visit: Visit) -> Response:
    """Requeue or discard a message. If it is no longer parked, show that with the remaining messages."""
    path, form = f"{_API}/{visit.id_of('parked message')}", dict(await visit.form())
    do, key, reason = form.get("do"), form.get("key", ""), form.get("reason", "").strip()
    try:
        match do:
            case "requeue":
                await visit.api.post(f"{path}/requeue", {"reason": reason} if reason else {}, key)
            case "discard":
                await visit.api.post(f"{path}/discard", {"reason": reason}, key)
            case _:
                raise Refused(400, "BAD_REQUEST", "The form asks for an action that does not exist.")
    except Refused as refused:
        if refused.status == 404:
            return await _list_of(visit, refused)
        context = {"message": await visit.api.get(path), "given": Document(form)}
        return visit.page("system/parked_message.html", context, refused)
    return visit.goes_to(_ALL)


async def _list_of(visit: Visit, refused: Refused | None = None) -> Response:
    found = await visit.api.get(_API)
    return visit.page(
        "system/parked.html", {"messages": found["parkedMessages"], "total": found["total"]}, refused
    )


ROUTES: Sequence[tuple[str, str, Handler]] = (
    ("GET", _ALL, show),
    ("GET", _ONE, show_one),
    ("POST", _ONE, act),
)
