"""Somebody at a browser: signs in, looks, and takes pictures."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Literal

import httpx
import jwt
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page

from interfaces.console.session import COOKIE
from tests.harness import PATIENCE_SECONDS, TENANT, ServiceProcess
from tests.plain_http import NO_TLS

LAYOUT_SECONDS = 2.0
SECRET = "a secret of at least thirty-two bytes"

_LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((1920, "light"), (360, "dark"))

_left: dict[Browser, list[Page]] = {}
_taken: list[Page] = []

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
) -> Page:
    """Somebody in front of their inbox, with the cookie that the door would have given them.

    A page that another one has left is taken: a new one would cost more than most of what is tested on it.
    """
    free = _left.get(browser)
    page = free.pop() if free else _opened(browser)
    _taken.append(page)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 360, "height": 800})
    cookie = _cookie(service.url, person, tenant, tuple(roles))
    page.context.add_cookies([{"name": COOKIE, "value": cookie, "url": f"{service.url}/console"}])
    page.goto(f"{service.url}/console")
    page.get_by_role("heading", name="Inbox").wait_for()
    return page


def leave(browser: Browser) -> None:
    """Whoever is there goes: their pages ask for nothing more, and know nothing more. Others are closed."""
    own = {page.context: page for page in _taken if page.context.browser is browser}
    _taken.clear()
    for context in browser.contexts:
        page = own.get(context)
        if page is not None and _is_left(context, page):
            _left.setdefault(browser, []).append(page)
        elif page is not None or context not in [each.context for each in _left.get(browser, [])]:
            context.close()


def go_home(browser: Browser) -> None:
    """The browser is closed."""
    _left.pop(browser, None)


def sign_in_at_the_door(page: Page, person: str, tenant: str = TENANT) -> None:
    """By the form, which is in front of whichever page was asked for."""
    page.get_by_label("Tenant").fill(tenant)
    page.get_by_label("Access token").fill(token(person, tenant))
    page.get_by_role("button", name="Sign in").click()


def _opened(browser: Browser) -> Page:
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE_SECONDS * 1000)
    return page


def _is_left(context: BrowserContext, page: Page) -> bool:
    with suppress(Error):
        for each in context.pages:
            if each is not page:
                each.close()
        page.unroute_all()
        if page.url.startswith("http"):
            page.evaluate("sessionStorage.clear()")
        page.goto("about:blank")
        context.clear_cookies()
        return True
    return False


@lru_cache
def _cookie(url: str, person: str, tenant: str, roles: tuple[str, ...]) -> str:
    form = {"tenant": tenant, "token": token(person, tenant, roles)}
    return httpx.post(f"{url}/console/sign-in", data=form, headers={"Origin": url}, verify=NO_TLS).cookies[
        COOKIE
    ]


def client(service: ServiceProcess, person: str, tenant: str = TENANT) -> httpx.Client:
    """Somebody who calls the API."""
    headers = {"X-Tenant-ID": tenant, "Authorization": f"Bearer {token(person, tenant)}"}
    return httpx.Client(
        base_url=f"{service.url}/api/v1", headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS
    )


def fits(page: Page) -> bool:
    """Whether nobody has to scroll sideways, once what was just put in place is laid out."""
    deadline = time.monotonic() + LAYOUT_SECONDS
    while page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
        if time.monotonic() > deadline:
            return False
        page.wait_for_timeout(50)
    return True


def serious(page: Page) -> list[str]:
    """What axe finds that keeps somebody out."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [each["id"] for each in found if each["impact"] in ("serious", "critical")]


def looks_well(page: Page) -> None:
    """Check that nobody is kept out and nobody scrolls sideways, in light and dark, wide and narrow.

    Axe looks at each scheme and each width once: colours do not depend on the width.
    """
    for width, scheme in _LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        assert fits(page), width
        assert serious(page) == [], (width, scheme)


def refresh(page: Page) -> None:
    """Have a live page look for what is new, once its script is there."""
    page.wait_for_load_state()
    page.evaluate("refresh()")


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
