"""The pages of workflows: the list, one workflow with live updates, and the form that starts one."""

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.responses import Response

from interfaces.console import one_workflow, starting, workflow_orders, workflows
from interfaces.console.api import Document, Refused
from interfaces.console.visit import HOME, Handler, Visit

_ALL = f"{HOME}/workflows"
_START = f"{_ALL}/start"
_ONE = f"{_ALL}/{{id}}"


async def show(visit: Visit) -> Response:
    """Show the workflows that match the filters in the address. If the API refuses the filters, show them
    again."""
    try:
        context = await workflows.found(visit.api, visit.query)
    except Refused as refused:
        return await _none(visit, refused)
    return visit.page("workflows/list.html", context)


async def find(visit: Visit) -> Response:
    """Go to the page that a search has found."""
    try:
        return visit.goes_to(f"{HOME}{await workflows.sought(visit.api, visit.query.get('q', '').strip())}")
    except Refused as refused:
        return await _none(visit, refused)


async def _none(visit: Visit, refused: Refused) -> Response:
    nothing = {"workflows": (), "total": 0, "pages": None}
    around = await workflows.around(visit.api, visit.query)
    return visit.page("workflows/list.html", {**around, **nothing}, refused)


async def show_start(visit: Visit) -> Response:
    """Show the definitions, and the form of the chosen one."""
    context = await starting.to_start(visit.api, visit.query.get("definition", ""))
    return visit.page("workflows/start.html", {**context, "given": Document(), "left_over": {}})


async def start(visit: Visit) -> Response:
    """Start a workflow. If it is refused, the page shows the form filled in again."""
    form = dict(await visit.form())
    try:
        id = await starting.start(visit.api, form)
    except Refused as refused:
        context = await starting.to_start(visit.api, form.get("definition", ""))
        filled = {"given": Document(form), "left_over": starting.left_over(context["fields"], form)}
        return visit.page("workflows/start.html", {**context, **filled}, refused)
    return visit.goes_to(f"{_ALL}/{id}")


async def show_one(visit: Visit) -> Response:
    """Show one workflow."""
    context = await one_workflow.one(
        visit.api, visit.id_of("workflow"), visit.query, is_operator=visit.is_operator
    )
    return visit.page("workflows/one.html", context)


async def order(visit: Visit) -> Response:
    """Carry out the action of a form. If it is refused, the page shows the form filled in again. Otherwise go
    back to the same page of items, and to the newest events, which include the action."""
    id, form = visit.id_of("workflow"), dict(await visit.form())
    try:
        await workflow_orders.order(visit.api, id, form)
    except Refused as refused:
        context = await one_workflow.one(visit.api, id, visit.query, form, is_operator=visit.is_operator)
        return visit.page("workflows/one.html", context, refused)
    items = visit.query.get("steps")
    place = f"?{urlencode({'steps': items})}" if items else ""
    return visit.goes_to(f"{_ALL}/{id}{place}")


async def stream(visit: Visit) -> Response:
    """Pass on the API's stream of changes, for the page's script."""
    return visit.api.passed(f"/workflows/{visit.id_of('workflow')}/stream")


ROUTES: Sequence[tuple[str, str, Handler]] = (
    ("GET", _ALL, show),
    ("GET", f"{_ALL}/find", find),
    ("GET", _START, show_start),
    ("POST", _START, start),
    ("GET", _ONE, show_one),
    ("POST", _ONE, order),
    ("GET", f"{_ONE}/stream", stream),
)
