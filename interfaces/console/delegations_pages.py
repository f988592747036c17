"""The page of delegations: what there are of somebody, and the forms that make one and take one back."""

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
    """Those of whoever asks, or of whom the address names."""
    whose = visit.query.get("of", "").strip() or visit.person
    context = await delegations.of_somebody(visit.api, whose, visit.query, visit.now)
    filled = {"filled": Document(form or {}), "is_operator": visit.is_operator}
    return visit.page("inbox/delegations.html", {**context, **filled}, refused)


async def act(visit: Visit) -> Response:
    """What a form of the page asks for; what was filled in is there again where that was refused."""
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
