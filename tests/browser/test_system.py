"""The page of the process in a real browser: with a broker that goes away and comes back."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.visitor import SECRET, looks_well, picture, signed_in
from tests.harness import SYSTEM_TENANT, TENANT, ServiceProcess, service_process
from tests.services import free_port


def test_it_tells_what_is_there_and_how_far_followers_are(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    page.get_by_role("link", name="System").click()
    page.get_by_role("heading", name="System ready").wait_for()
    row = page.get_by_role("row").filter(has_text="Broker")
    assert "off" in row.inner_text()
    assert "rabbitmq.url is not set" in row.inner_text()
    assert page.get_by_role("row").filter(has_text="hitl_approvals").get_by_text("running").is_visible()
    picture(page, "system")
    looks_well(page)


def test_operators_of_the_system_tenant_see_settings_and_no_secret(
    browser: Browser, service: ServiceProcess
) -> None:
    page = signed_in(browser, service, "ada", SYSTEM_TENANT, roles=["admin"])
    page.goto(f"{service.url}/console/system")
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("heading", name="Settings").wait_for()
    secret = page.get_by_role("region", name="jwt").get_by_role("row").filter(has_text="secret")
    assert secret.inner_text().split() == ["secret", "***", "environment", "JWT_SECRET"]
    assert SECRET not in page.content()
    picture(page, "settings")
    looks_well(page)
    for tenant, roles in ((TENANT, ["admin"]), (SYSTEM_TENANT, [])):
        other = signed_in(browser, service, "eve", tenant, roles=roles)
        assert other.request.get(f"{service.url}/console/system/settings").status == 403


@pytest.mark.rabbitmq
def test_a_broker_that_is_away_is_told_and_no_secret_with_it(browser: Browser, tmp_path: Path) -> None:
    url = f"amqp://guest:hidden-password@127.0.0.1:{free_port()}/"
    with service_process(tmp_path, JWT_SECRET=SECRET, RABBITMQ_URL=url) as service:
        page = signed_in(browser, service, "ada")
        page.goto(f"{service.url}/console/system")
        expect(page.get_by_role("row").filter(has_text="Broker")).to_contain_text("down")
        assert "hidden-password" not in page.content()
