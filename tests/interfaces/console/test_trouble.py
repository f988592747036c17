"""Whatever goes wrong at an address of the console is told by a page; the API's errors are as they were."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from domain.errors import StoreUnavailable
from interfaces.console import inbox
from interfaces.console.api import Api
from tests.harness import OTHER_TENANT, SYSTEM_TENANT, TENANT, UNKNOWN_ID, Service, service, settings_in

pytestmark = pytest.mark.anyio

HTML = "text/html; charset=utf-8"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false", MAX_REQUESTS="1")) as running:
        yield running


def visitor(running: Service, tenant: str = TENANT) -> httpx.AsyncClient:
    """Ada, whose browser says where its forms come from."""
    return running.client(tenant, **{"X-User-ID": "ada", "Origin": "http://localhost"})


def is_page(answer: httpx.Response, status: int, *words: str) -> None:
    """It is a page in the console's look, that says these."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, HTML), answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<header>" in answer.text
    assert answer.headers["x-request-id"] in answer.text
    for each in words:
        assert each in answer.text, answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "nope", 404, "There is no page at this address."),
        ("GET", "static/nope.js", 404, "There is no page at this address."),
        ("GET", "approvals/nope", 404, "There is no approval nope."),
        ("GET", f"approvals/{UNKNOWN_ID}", 404, UNKNOWN_ID),
        ("GET", f"workflows/{UNKNOWN_ID}", 404, UNKNOWN_ID),
        ("GET", f"workflows/{UNKNOWN_ID}/stream", 404, UNKNOWN_ID),
        ("GET", "jobs/nope", 403, "Not allowed"),
        ("GET", "audit/approval/x", 404, "There is no such object."),
        ("GET", "audit/export?after=never", 400, "after"),
        ("PUT", "", 405, "This address does not accept what was sent to it."),
        ("DELETE", f"workflows/{UNKNOWN_ID}", 405, "This address does not accept what was sent to it."),
    ],
)
async def test_what_is_not_there_is_told_by_a_page(
    running: Service, method: str, path: str, status: int, words: str
) -> None:
    async with visitor(running) as ada:
        answer = await ada.request(method, f"/console/{path}".rstrip("/"))
    is_page(answer, status, words, '<nav aria-label="Console">', ">ada</span>", 'href="/console"')
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("path", ["jobs", "jobs/nope"])
async def test_what_is_of_the_system_tenant_is_told_with_its_id_and_not_as_a_matter_of_roles(
    running: Service, path: str
) -> None:
    async with visitor(running) as ada:
        answer = await ada.get(f"/console/{path}")
        told = (await ada.get(f"/api/v1/{path}")).json()["error"]
    message = f"this belongs to the system tenant: X-Tenant-ID must be {SYSTEM_TENANT}"
    assert (told["code"], told["message"]) == ("SYSTEM_TENANT_ONLY", message)
    is_page(answer, 403, "Not allowed", message, "in your own tenant")
    assert "Your roles determine" not in answer.text


async def test_whom_nobody_knows_is_told_so_too_and_the_api_answers_in_its_own_shape(
    running: Service,
) -> None:
    async with running.client(tenant=None) as nobody:
        answer = await nobody.get("/console/nope")
        is_page(answer, 404)
        assert "<nav" not in answer.text
        for path in ("/api/v1/nope", "/consoles", "/nope"):
            answer = await nobody.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_another_tenants_things_are_not_there_and_nothing_of_them_is_told(running: Service) -> None:
    deal = {"opportunityId": "opp-secret", "riskScore": 0.5, "amount": 10}
    async with visitor(running) as ada, visitor(running, OTHER_TENANT) as eve:
        id = (await ada.post("/api/v1/hitl/approvals", json=deal)).json()["id"]
        answer = await eve.get(f"/console/approvals/{id}")
    is_page(answer, 404, "Not found")
    assert "opp-secret" not in answer.text
    assert TENANT not in answer.text


async def test_a_failure_that_nobody_has_thought_of_is_a_page_without_its_inside(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("inner secret")

    monkeypatch.setattr(inbox, "found", broken)
    async with visitor(running) as ada:
        answer = await ada.get("/console")
        is_page(answer, 500, "Something went wrong", "Try again", "the error is in the log")
        assert "inner secret" not in answer.text
        monkeypatch.setattr(Api, "get", broken)
        is_page(await ada.get("/console/workflows"), 500)


async def test_a_store_that_is_away_is_a_page_that_says_to_wait(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("postgresql://secret@host is away")

    documents = type(running.container.stores.documents)
    monkeypatch.setattr(documents, "query", away)
    monkeypatch.setattr(documents, "get", away)
    one = f"/console/approvals/{UNKNOWN_ID}"
    async with visitor(running) as ada:
        for path in ("", "/workflows", "/delegations", f"/approvals/{UNKNOWN_ID}"):
            answer = await ada.get(f"/console{path}")
            is_page(answer, 503, "Temporarily unavailable", "the store is unavailable", "Try again")
            assert "secret@host" not in answer.text
        answer = await ada.post(one, data={"do": "approve", "key": "k"})
        is_page(
            answer, 503, "data-undone>", "may or may not have been processed", "Back to page", f'href="{one}"'
        )


async def test_too_many_at_once_are_told_to_come_again(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = type(running.container.stores.documents)
    query, is_begun, is_over = documents.query, anyio.Event(), anyio.Event()

    async def slow(*asked: Any, **how: Any) -> Any:
        is_begun.set()
        await is_over.wait()
        return await query(*asked, **how)

    monkeypatch.setattr(documents, "query", slow)
    async with visitor(running) as ada, anyio.create_task_group() as tasks:
        tasks.start_soon(ada.get, "/api/v1/workflows")
        await is_begun.wait()
        is_page(await ada.get("/console"), 503, "Temporarily unavailable", "too many requests at once")
        is_over.set()
