"""A job of any name that the settings take has its pages in the console."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.harness import SYSTEM_TENANT, Service, service, settings_in

pytestmark = pytest.mark.anyio

NAMES = ("Nightly.Report_v2:EU", "A", "..x", "-1")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway, with jobs of its own."""
    jobs = {name: {"cron": "0 1 * * *"} for name in NAMES}
    async with service(settings_in(tmp_path, overlay={"batch_jobs": {"jobs": jobs}})) as running:
        yield running


async def test_jobs_with_capitals_dots_and_colons_have_pages_that_lead_to_each_other(
    running: Service,
) -> None:
    told = {"X-User-ID": "ada", "Origin": "http://localhost"}
    async with running.client(SYSTEM_TENANT, **told) as ada:
        links = re.findall(r'<h2><a href="([^"]+)"', (await ada.get("/console/jobs")).text)
        assert {unquote(link.rpartition("/")[2]) for link in links} >= set(NAMES)
        for name in NAMES:
            one = f"/console/jobs/{name}"
            assert one in links
            for do, more in (("trigger", {}), ("pause", {"reason": "so"}), ("resume", {})):
                answer = await ada.post(one, data={"do": do, "key": f"k-{do}", **more})
                assert (answer.status_code, answer.headers["location"]) == (303, one), answer.text
            page = (await ada.get(one)).text
            assert f"<h1>{name} " in page
            (run,) = set(re.findall(rf'href="({re.escape(one)}/runs/[^"]+)"', page))
            for path in (f"{one}/runs", run, f"/console/audit/job/{name}"):
                shown = await ada.get(path)
                assert (shown.status_code, name in shown.text) == (200, True), path
            assert f'href="{one}"' in (await ada.get(run)).text


@pytest.mark.parametrize("name", ["%2E%2E", "a%2Fb", "a%20b", "é", "a" * 256, "%00", "Unknown.Job"])
async def test_what_is_no_job_is_not_found(running: Service, name: str) -> None:
    async with running.client(SYSTEM_TENANT, **{"X-User-ID": "ada"}) as ada:
        for path in (f"/console/jobs/{name}", f"/console/jobs/{name}/runs", f"/console/audit/job/{name}"):
            assert (await ada.get(path)).status_code == 404, path


async def test_a_schedule_for_which_there_are_no_words_is_shown_as_it_is(tmp_path: Path) -> None:
    jobs = {"odd": {"cron": "0 */6,23 * * *"}}
    async with (
        service(settings_in(tmp_path, overlay={"batch_jobs": {"jobs": jobs}})) as running,
        running.client(SYSTEM_TENANT, **{"X-User-ID": "ada"}) as ada,
    ):
        for path in ("/console/jobs", "/console/jobs/odd"):
            shown = await ada.get(path)
            assert (shown.status_code, "0 */6,23 * * *" in shown.text) == (200, True), path
