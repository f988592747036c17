"""What a page costs whoever opens it for the first time: with all that belongs to it, from an empty cache."""

import pytest
from playwright.sync_api import Browser, Response

from tests.browser.visitor import client, signed_in
from tests.harness import SYSTEM_TENANT, ServiceProcess

MOST_BYTES = 200_000


@pytest.fixture(scope="module")
def busy(service: ServiceProcess) -> ServiceProcess:
    """With a full page of approvals."""
    asked = {"opportunityId": "opp-1", "riskScore": 0.9, "amount": 250_000, "payload": {"n": "x" * 500}}
    with client(service, "bob", SYSTEM_TENANT) as api:
        for _ in range(100):
            api.post("/hitl/approvals", json=asked).raise_for_status()
    return service


@pytest.mark.parametrize("path", ["", "/delegations", "/workflows", "/jobs", "/audit", "/system"])
def test_a_first_page_is_small(browser: Browser, busy: ServiceProcess, path: str) -> None:
    signed = signed_in(browser, busy, "ada", SYSTEM_TENANT)
    context = browser.new_context()
    context.add_cookies(signed.context.cookies())  # type: ignore[arg-type]
    page, taken = context.new_page(), list[Response]()
    page.on("response", lambda response: taken.append(response))
    page.goto(f"{busy.url}/console{path}", wait_until="load")
    assert page.get_by_role("main").is_visible()
    sizes = {response.url: len(response.body()) for response in taken}
    assert any(url.endswith(".css") for url in sizes)
    assert sum(sizes.values()) < MOST_BYTES
