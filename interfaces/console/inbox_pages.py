"""The inbox and the page of one approval: what is shown, and what their forms do."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.responses import Response

from interfaces.console import approval, approval_orders, inbox
from interfaces.console.api import Document, Refused
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


async def show_one(
    visit: Visit, form: Mapping[str, str] | None = None, refused: Refused | None = None
) -> Response:
    """One approval."""
    context = await approval.one(
        visit.api, visit.id_of("approval"), visit.person, is_operator=visit.is_operator
    )
    return visit.page("inbox/approval.html", {**context, "filled": Document(form or {})}, refused)


async def act_on_one(visit: Visit) -> Response:
    """What a form of its page asks for; what was filled in is there again where that was refused."""
    id, form = visit.id_of("approval"), dict(await visit.form())
    try:
        await approval_orders.act(visit.api, visit.person, id, form)
    except Refused as refused:
        return await show_one(visit, form, refused)
    return visit.goes_to(f"{HOME}/approvals/{id}")


ROUTES: Sequence[tuple[str, str, Handler]] = (
    ("GET", HOME, show),
    ("POST", HOME, decide),
    ("GET", _ONE, show_one),
    ("POST", _ONE, act_on_one),
)
