"""The inbox and the page of one approval, with their forms."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.responses import Response

from interfaces.console import approval, approval_orders, deciding, inbox
from interfaces.console.api import Document, Refused
from interfaces.console.visit import HOME, Handler, Visit

_ONE = f"{HOME}/approvals/{{id}}"


async def show(
    visit: Visit, form: Sequence[tuple[str, str]] = (), refused: Refused | None = None
) -> Response:
    """Show the approvals that wait for the user, or those that match the filters, and the outcomes of
    decisions in bulk."""
    outcomes = await deciding.told(visit.api, visit.request.query_params.getlist("came"))
    try:
        context = await inbox.found(visit.api, visit.person, visit.query, visit.now)
    except Refused as unfit:
        if unfit.status >= 500:
            raise
        context, refused = inbox.nothing(visit.query), refused or unfit
    chosen = {value.partition(" ")[0] for name, value in form if name == "approval"}
    filled = {"filled": Document(form), "chosen": chosen, "outcomes": outcomes}
    return visit.page("inbox/inbox.html", {**context, **filled}, refused)


async def decide(visit: Visit) -> Response:
    """Take one decision on all selected approvals. If it is refused, the page shows the form filled in
    again."""
    form = await visit.form()
    try:
        outcomes = await deciding.decide(visit.api, visit.person, form)
    except Refused as refused:
        return await show(visit, form, refused)
    came = [("came", each) for each in outcomes]
    return visit.goes_to(f"{HOME}?{urlencode([*inbox.filters_of(visit.query).items(), *came])}")


async def show_one(
    visit: Visit, form: Mapping[str, str] | None = None, refused: Refused | None = None
) -> Response:
    """Show one approval."""
    context = await approval.one(
        visit.api, visit.id_of("approval"), visit.person, visit.now, is_operator=visit.is_operator
    )
    return visit.page("inbox/approval.html", {**context, "filled": Document(form or {})}, refused)


async def act_on_one(visit: Visit) -> Response:
    """Carry out the action of a form. If it is refused, the page shows the form filled in again."""
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
