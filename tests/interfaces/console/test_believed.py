"""Visitors who say at the door who they are: on this machine, where there are no tokens, and nowhere else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interfaces.console.session import COOKIE
from tests.harness import OTHER_TENANT, SYSTEM_TENANT, TENANT, Service, service, settings_in

pytestmark = pytest.mark.anyio

HERE = "http://127.0.0.1:3051"
ADA = {"tenant": TENANT, "user": "adä", "roles": "admin, sales", "to": "/console/workflows"}


@pytest.fixture(params=["", "gateway"])
async def running(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    """Where the mode was said and where it was not, which is answered to nobody from elsewhere."""
    settings = settings_in(
        tmp_path, CONSOLE_TRUSTS_VISITORS="true", BATCH_JOBS_ENABLED="false", AUTH_MODE=request.param
    )
    async with service(settings) as running:
        yield running


async def said(running: Service, form: dict[str, str], base: str = HERE):  # type: ignore[no-untyped-def]
    """What the door answers, and a page once it has."""
    async with running.client(Origin=base) as visitor:
        del visitor.headers["X-Tenant-ID"]
        visitor.base_url = base
        answer = await visitor.post("/console/sign-in", data=form)
        return answer, await visitor.get("/console/system")


async def test_who_says_a_name_is_in_and_stays_so(running: Service) -> None:
    answer, page = await said(running, ADA)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/workflows")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert page.status_code == 200
    assert "adä" in page.text
    assert TENANT not in answer.cookies[COOKIE]


async def test_the_door_asks_for_a_name(running: Service) -> None:
    async with running.client() as visitor:
        del visitor.headers["X-Tenant-ID"]
        visitor.base_url = HERE
        door = await visitor.get("/console")
    assert door.status_code == 401
    assert 'name="user"' in door.text
    assert 'name="token"' not in door.text
    assert SYSTEM_TENANT in door.text


@pytest.mark.parametrize(
    "form",
    [{**ADA, "tenant": "x"}, {**ADA, "user": " "}, {**ADA, "user": "service:crm"}, {"roles": "admin"}],
)
async def test_who_can_be_nobody_is_told_so(running: Service, form: dict[str, str]) -> None:
    answer, page = await said(running, form)
    assert (answer.status_code, page.status_code) == (401, 401)
    assert COOKIE not in answer.cookies


async def test_from_elsewhere_nobody_is_believed(running: Service) -> None:
    """A page whose name has come to mean this machine (DNS rebinding) is not at an address of it."""
    answer, page = await said(running, ADA, "http://evil.example:3051")
    refused = 421 if running.container.settings.is_a_trial else 401
    assert (answer.status_code, page.status_code) == (refused, refused)
    assert COOKIE not in answer.cookies
    good, _ = await said(running, ADA)
    async with running.client(Cookie=f"{COOKIE}={good.cookies[COOKIE]}") as visitor:
        del visitor.headers["X-Tenant-ID"]
        visitor.base_url = "http://evil.example:3051"
        assert (await visitor.get("/console/system")).status_code == refused


async def test_what_a_gateway_says_goes_before_the_cookie(running: Service) -> None:
    good, _ = await said(running, ADA)
    cookie = f"{COOKIE}={good.cookies[COOKIE]}"
    async with running.client(OTHER_TENANT, **{"X-User-ID": "eve", "Cookie": cookie}) as visitor:
        visitor.base_url = HERE
        page = await visitor.get("/console/system")
    assert "eve" in page.text
    assert "adä" not in page.text


async def test_a_cookie_is_of_the_process_that_gave_it(running: Service, tmp_path: Path) -> None:
    good, _ = await said(running, ADA)
    settings = settings_in(tmp_path / "other", CONSOLE_TRUSTS_VISITORS="true", BATCH_JOBS_ENABLED="false")
    async with service(settings) as other, other.client(Cookie=f"{COOKIE}={good.cookies[COOKIE]}") as visitor:
        del visitor.headers["X-Tenant-ID"]
        visitor.base_url = HERE
        assert (await visitor.get("/console/system")).status_code == 401


async def test_unless_it_is_asked_for_nobody_is_believed(tmp_path: Path) -> None:
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        answer, page = await said(running, ADA)
    assert (answer.status_code, page.status_code) == (404, 401)
    assert 'name="user"' not in page.text
