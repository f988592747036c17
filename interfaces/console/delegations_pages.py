"""The page of a person's delegations, with the forms that create and end one."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.responses import Response

from interfaces.console import delegations
from interfaces.console.api import Document, Refused
from interfaces.console.visit import HOME, Handler, Visit

_ALL = f"{HOME}/delegations"


async def show(
    visit: Visit, form: Mapping[str, str] | None = None, refused: Refused | None = None
) -> Response:
    """Show the delegations of the person in the address, or of the user."""
    whose = visit.query.get("of", "").strip() or visit.person
    context = await delegations.of_somebody(visit.api, whose, visit.query, visit.now)
    filled = {"filled": Document(form or {}), "is_operator": visit.is_operator}
    return visit.page("inbox/delegations.html", {**context, **filled}, refused)


async def act(visit: Visit) -> Response:
    """Carry out the action of a form. If it is refused, the page shows the form filled in again."""
    form = dict(await visit.form())
    try:
        await delegations.act(visit.api, form)
    except Refused as refused:
        return await show(visit, form, refused)
    whose = form.get("by", "").strip() or visit.query.get("of", "")
    return visit.goes_to(f"{_ALL}?{urlencode({'of': whose})}" if whose else _ALL)


ROUTES: Sequence[tuple[str, str, Handler]] = (
    ("GET", _ALL, show),
    ("POST", _ALL, act),
)
