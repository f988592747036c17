"""Somebody at a browser: signs in, looks, and takes pictures."""

import os
import time
from collections.abc import Sequence
from typing import Literal

import httpx
import jwt
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page

from tests.harness import PATIENCE_SECONDS, TENANT, ServiceProcess

SECRET = "a secret of at least thirty-two bytes"
SCRIPT = "<script>document.title='caught'</script><img src=x onerror=\"document.title='caught'\">"


def token(person: str, tenant: str = TENANT, roles: Sequence[str] = ()) -> str:
    now = int(time.time())
    claims = {
        "sub": person,
        "roles": list(roles),
        "type": "access",
        "tenantId": tenant,
        "iss": "coder",
        "iat": now,
        "exp": now + 900,
    }
    return jwt.encode(claims, SECRET)


def signed_in(
    browser: Browser,
    service: ServiceProcess,
    person: str,
    tenant: str = TENANT,
    *,
    roles: Sequence[str] = (),
    dark: bool = False,
) -> Page:
    scheme: Literal["dark", "light"] = "dark" if dark else "light"
    context = browser.new_context(viewport={"width": 360, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_SECONDS * 1000)
    page.goto(f"{service.url}/console")
    page.get_by_label("Tenant").fill(tenant)
    page.get_by_label("Access token").fill(token(person, tenant, roles))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Inbox").wait_for()
    return page


def client(service: ServiceProcess, person: str, tenant: str = TENANT) -> httpx.Client:
    """Somebody who calls the API."""
    headers = {"X-Tenant-ID": tenant, "Authorization": f"Bearer {token(person, tenant)}"}
    return httpx.Client(base_url=f"{service.url}/api/v1", headers=headers, timeout=PATIENCE_SECONDS)


def fits(page: Page) -> bool:
    """Whether nobody has to scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def serious(page: Page) -> list[str]:
    """What axe finds that keeps somebody out."""
    found = Axe().run(page).response["violations"]
    return [each["id"] for each in found if each["impact"] in ("serious", "critical")]


def field(page: Page | Locator, name: str) -> str:
    """What a hidden field of the page, or of a part of it, says."""
    return page.locator(f"input[name={name}]").input_value()


def picture(page: Page, name: str) -> None:
    """A screenshot for docs/console.md, where ``CONSOLE_PICTURES`` names a folder."""
    if folder := os.environ.get("CONSOLE_PICTURES"):
        size = page.viewport_size
        assert size is not None
        page.set_viewport_size({"width": 1024, "height": 560})
        page.screenshot(path=f"{folder}/{name}.png")
        page.set_viewport_size(size)
