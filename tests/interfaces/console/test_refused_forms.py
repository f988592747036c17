"""What was typed into a form that is refused stands in that form again, and in no other."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.visitor import SECRET
from tests.harness import SYSTEM_TENANT, Service, service, settings_in
from tests.interfaces.console.forms import form_with
from tests.interfaces.console.parking import park

pytestmark = pytest.mark.anyio

OPERATOR = {"X-User-ID": "ada", "X-User-Roles": "admin", "Origin": "http://localhost"}
JOB = "/jobs/risk-snapshot-backfill"
TOO_LONG = "why " * 300


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path)) as running:
        yield running


async def refused(ada: httpx.AsyncClient, path: str, **form: str) -> str:
    """The page that a form is answered with."""
    answer = await ada.post(f"/console{path}", data={"key": "k", **form})
    assert answer.status_code in (400, 401, 409), answer.text
    return answer.text


async def test_a_reason_stands_in_the_form_that_it_was_given_in(running: Service) -> None:
    async with running.client(SYSTEM_TENANT, **OPERATOR) as ada:
        days = {"from": "2025-01-01", "to": "2026-01-01"}
        backfill = (await ada.post(f"/api/v1{JOB}/backfills", json=days)).json()["id"]
        await running.caught_up()
        message = f"/system/parked/{park(running)}"
        for path, do, own, other in (
            (JOB, "pause", "Pause job", "Cancel backfill"),
            (JOB, f"cancel {backfill}", "Cancel backfill", "Pause job"),
            (message, "requeue", "Requeue message", "Discard message"),
            (message, "discard", "Discard message", "Requeue message"),
        ):
            page = await refused(ada, path, do=do, reason=TOO_LONG)
            assert form_with(page, own)["reason"] == TOO_LONG, do
            assert form_with(page, other)["reason"] == "", do


async def test_what_was_cleared_stays_so(running: Service) -> None:
    async with running.client(SYSTEM_TENANT, **OPERATOR) as ada:
        page = await refused(ada, "/delegations?of=bob", do="delegate", by="", to="ada", endsAt="x")
    assert form_with(page, "Create delegation")["by"] == ""


@pytest.mark.parametrize(
    ("variable", "value", "form", "kept"),
    [
        ("CONSOLE_TRUSTS_VISITORS", "true", {"user": "bob", "roles": ""}, {"user": "bob", "roles": ""}),
        ("JWT_SECRET", SECRET, {"token": "a-secret"}, {"token": ""}),
    ],
)
async def test_a_sign_in_that_is_refused_is_filled_in_but_for_the_token(
    tmp_path: Path, variable: str, value: str, form: dict[str, str], kept: dict[str, str]
) -> None:
    environ: dict[str, Any] = {"HOST": "127.0.0.1", "BATCH_JOBS_ENABLED": "false", variable: value}
    here = {"Origin": "http://127.0.0.1", "Host": "127.0.0.1"}
    async with (
        service(settings_in(tmp_path, **environ)) as running,
        running.client(None, **here) as visitor,
    ):
        page = await refused(visitor, "/sign-in", tenant="no<ne", **form)
    shown = form_with(page, "Sign in")
    assert {name: shown[name] for name in ("tenant", *form)} == {"tenant": "no<ne", **kept}
    assert "a-secret" not in page
