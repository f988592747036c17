"""The inbox and the page of one approval: what is shown, and what their forms do."""

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.responses import Response

from interfaces.console import inbox
from interfaces.console.api import Refused
from interfaces.console.visit import HOME, Handler, Visit

_ONE = f"{HOME}/approvals/{{id}}"


async def show(visit: Visit, refused: Refused | None = None) -> Response:
    """What waits for whoever asks, and what came of decisions on several."""
    outcomes = await inbox.told(visit.api, visit.request.query_params.getlist("came"))
    waiting = await inbox.waiting_for(visit.api, visit.person)
    return visit.page("inbox/inbox.html", {**waiting, "outcomes": outcomes}, refused)


async def decide(visit: Visit) -> Response:
    """One decision on all that were chosen."""
    try:
        outcomes = await inbox.decide(visit.api, visit.person, await visit.form())
    except Refused as refused:
        return await show(visit, refused)
    came = urlencode([("came", each) for each in outcomes])
    return visit.goes_to(f"{HOME}?{came}" if came else HOME)


async def show_one(visit: Visit, refused: Refused | None = None) -> Response:
    """One approval."""
    context = await inbox.approval(visit.api, visit.id_of("approval"))
    return visit.page("inbox/approval.html", context, refused)


async def act_on_one(visit: Visit) -> Response:
    """What the form of its page asks for."""
    id = visit.id_of("approval")
    try:
        await inbox.act(visit.api, visit.person, id, dict(await visit.form()))
    except Refused as refused:
        return await show_one(visit, refused)
    return visit.goes_to(f"{HOME}/approvals/{id}")


ROUTES: Sequence[tuple[str, str, Handler]] = (
    ("GET", HOME, show),
    ("POST", HOME, decide),
    ("GET", _ONE, show_one),
    ("POST", _ONE, act_on_one),
)
