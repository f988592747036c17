"""From each page one finds the way back, to what belongs together, and on where there is nothing."""

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness import SYSTEM_TENANT, TENANT, Service, service, settings_in

pytestmark = pytest.mark.anyio

JOB = "/console/jobs/propagation"
CRUMBS = re.compile(r'<nav class="crumbs" aria-label="Breadcrumb">(.*?)</nav>')


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path)) as running:
        yield running


async def test_pages_below_others_say_where_they_are(running: Service) -> None:
    told = {"X-User-ID": "ada", "X-User-Roles": "admin", "Origin": "http://localhost"}
    async with running.client(SYSTEM_TENANT, **told) as ada:
        begun = (await ada.post("/api/v1/workflows", json={"opportunityId": "opp-1"})).json()["workflowId"]
        run = (await ada.post("/api/v1/jobs/propagation/trigger", json={})).json()["runId"]
        await running.caught_up()
        for path, ways in {
            f"/console/workflows/{begun}": ["/console/workflows"],
            "/console/workflows/start": ["/console/workflows"],
            JOB: ["/console/jobs"],
            f"{JOB}/runs": ["/console/jobs", JOB],
            f"{JOB}/runs/{run}": ["/console/jobs", JOB],
            "/console/system/settings": ["/console/system"],
            "/console/system/parked": ["/console/system"],
            "/console/delegations": ["/console"],
        }.items():
            found = CRUMBS.search((await ada.get(path)).text)
            assert found is not None, path
            assert re.findall('href="([^"]+)"', found[1]) == ways, path


async def test_a_workflow_leads_to_what_else_there_is_of_its_deal(running: Service) -> None:
    async with running.client(TENANT, **{"X-User-ID": "ada"}) as ada:
        begun = [
            (await ada.post("/api/v1/workflows", json={"opportunityId": "opp & 1"})).json() for _ in range(2)
        ]
        await running.caught_up()
        page = (await ada.get(f"/console/workflows/{begun[0]['workflowId']}")).text
        links = [html.unescape(link) for link in re.findall(r'href="([^"]*opportunityId=[^"]*)"', page)]
        assert len(links) == 2
        others = (await ada.get(links[0])).text
        assert all(f"/console/workflows/{each['workflowId']}" in others for each in begun)
        assert (await ada.get(links[1])).status_code == 200


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/console/workflows?opportunityId=x", "No workflows match."),
        ("/console/workflows?status=x", "Correct the filter"),
        ("/console/workflows/find?q=nothing", "only complete IDs and names"),
        ("/console/audit?actor=x", "No events match."),
        ("/console/audit?after=x", "Correct the filter"),
        ("/console?opportunityId=x", "No approvals match."),
    ],
)
async def test_where_nothing_is_found_it_is_said_what_to_do(running: Service, path: str, words: str) -> None:
    async with running.client(TENANT, **{"X-User-ID": "ada"}) as ada:
        page = (await ada.get(path)).text
    assert words in page
    (told,) = re.findall(rf'<p class="card dim">[^<]*{re.escape(words)}.*?</p>', page)
    assert 'href="/console' in told


async def test_runs_that_there_are_not_lead_back_to_the_job(running: Service) -> None:
    async with running.client(SYSTEM_TENANT, **{"X-User-ID": "ada"}) as ada:
        for query, words in (("", "No runs yet."), ("?status=failed", "No runs with this status.")):
            assert words in (await ada.get(f"{JOB}/runs{query}")).text


async def test_a_definition_that_nobody_has_started_is_found_by_its_name(running: Service) -> None:
    async with running.client(TENANT, **{"X-User-ID": "ada"}) as ada:
        found = await ada.get("/console/workflows/find?q=opportunity-analysis")
        assert found.headers["location"] == "/console/workflows?definition=opportunity-analysis"
