"""The pages of the batch jobs: all jobs; one job with its runs, backfills and actions; one run."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from interfaces.console import jobs
from interfaces.console.api import Document, Refused
from interfaces.console.visit import HOME, Handler, Visit

_ALL = f"{HOME}/jobs"
_ONE = f"{_ALL}/{{job}}"


async def show(visit: Visit) -> Response:
    """Show all jobs."""
    return visit.page("jobs/list.html", await jobs.every(visit.api, visit.now))


async def show_one(visit: Visit) -> Response:
    """Show one job."""
    return await _page_of(visit, _name_in(visit))


async def show_runs(visit: Visit) -> Response:
    """Show a page of a job's runs."""
    return visit.page("jobs/runs.html", await jobs.runs(visit.api, _name_in(visit), visit.query))


async def show_run(visit: Visit) -> Response:
    """Show one run."""
    return visit.page("jobs/run.html", await jobs.run(visit.api, _name_in(visit), visit.id_of("run")))


async def act(visit: Visit) -> Response:
    """Carry out the action of a form. The plan of a backfill is only shown, and changes nothing."""
    name, form = _name_in(visit), dict(await visit.form())
    try:
        plan = await jobs.act(visit.api, name, form)
    except Refused as refused:
        return await _page_of(visit, name, form, refused=refused)
    if plan is not None:
        return await _page_of(visit, name, form, plan=plan)
    return visit.goes_to(f"{_ALL}/{name}")


async def _page_of(
    visit: Visit,
    name: str,
    form: Mapping[str, str] | None = None,
    *,
    plan: Mapping[str, Any] | None = None,
    refused: Refused | None = None,
) -> Response:
    context = {**await jobs.one(visit.api, name, visit.now), "given": Document(form or {}), "plan": plan}
    return visit.page("jobs/one.html", context, refused)


def _name_in(visit: Visit) -> str:
    """Return the job's name in the path, which can be used in a path of the API.

    Raises:
        Refused: it is not valid.
    """
    name = str(visit.request.path_params["job"])
    if not jobs.is_name(name):
        raise Refused(404, "NOT_FOUND", "There is no such job.")
    return name


ROUTES: Sequence[tuple[str, str, Handler]] = (
    ("GET", _ALL, show),
    ("GET", _ONE, show_one),
    ("POST", _ONE, act),
    ("GET", f"{_ONE}/runs", show_runs),
    ("GET", f"{_ONE}/runs/{{id}}", show_run),
)
