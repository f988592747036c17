"""Who a gateway says that somebody is, as the console passes it on, and what else a request brings along."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness import TENANT, Service, service, settings_in

pytestmark = pytest.mark.anyio

FORM = {"do": "delegate", "to": "bob", "endsAt": "2099-01-01T00:00"}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        yield running


@pytest.mark.parametrize("user", ["jürgen", "Ω李😀"])
async def test_somebody_whose_name_or_role_is_not_ascii_sees_every_page(running: Service, user: str) -> None:
    told = {"X-User-ID": user.encode(), "X-User-Roles": "vorständin".encode()}
    async with running.client(**told) as visitor:  # type: ignore[arg-type]
        for page in ("", "/workflows", "/workflows/start", "/audit", "/delegations"):
            shown = await visitor.get(f"/console{page}")
            assert shown.status_code == 200, page
            assert f">{user}</span>" in shown.text


@pytest.mark.parametrize("name", ["X-Tenant-ID", "X-User-ID", "X-User-Roles"])
async def test_who_is_said_to_be_two_is_nobody_as_for_the_api(running: Service, name: str) -> None:
    given = {"X-Tenant-ID": TENANT, "X-User-ID": "ada", "X-User-Roles": "cfo"}
    async with running.client(tenant=None) as visitor:
        shown = await visitor.get("/console", headers=[*given.items(), (name, "another")])
    assert shown.status_code == 400
    assert "given" in shown.text
    assert "<span title" not in shown.text


async def test_a_key_that_is_not_ascii_is_refused_in_words(running: Service) -> None:
    async with running.client(**{"X-User-ID": "ada", "Origin": "http://localhost"}) as visitor:
        shown = await visitor.post("/console/delegations", data={**FORM, "key": "schlüssel"})
    assert shown.status_code == 400
    assert "Idempotency-Key" in shown.text


@pytest.mark.parametrize(
    "origin", ["http://[", "http://]/", "null", "", "http://localhost.evil", "//localhost@evil"]
)
async def test_a_form_of_another_page_is_refused_however_its_origin_is_written(
    running: Service, origin: str
) -> None:
    async with running.client(**{"X-User-ID": "ada", "Origin": origin}) as visitor:
        shown = await visitor.post("/console/delegations", data={**FORM, "key": "k"})
    assert (shown.status_code, "not sent from a page" in shown.text) == (403, True)


async def test_the_console_is_found_with_a_slash_behind_it(running: Service) -> None:
    async with running.client() as visitor:
        answer = await visitor.get("/console/")
    assert (answer.status_code, answer.headers["location"]) == (308, "/console")


@pytest.mark.parametrize("name", ["audit/export", "workflows/{id}/stream"])
async def test_what_is_passed_on_has_the_headers_of_a_page(running: Service, name: str) -> None:
    async with running.client(**{"X-User-ID": "ada"}) as visitor:
        body = {"definition": "opportunity-analysis", "opportunityId": "opp-1"}
        begun = (await visitor.post("/api/v1/workflows", json=body)).json()
        path = name.format(id=begun["workflowId"])
        assert (
            await visitor.post(f"/api/v1/workflows/{begun['workflowId']}/cancel", json={"reason": "so"})
        ).is_success
        shown = await visitor.get(f"/console/{path}", headers={"X-Request-ID": "of-the-visitor"})
    assert shown.status_code == 200
    assert shown.headers.get_list("X-Request-ID") == ["of-the-visitor"]
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
