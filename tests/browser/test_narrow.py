"""What a narrow screen does to the frame of every page and to its buttons."""

import pytest
from playwright.sync_api import Browser, Locator

from tests.browser.asking import asked as asked_for
from tests.browser.runs import asked
from tests.browser.visitor import fits, signed_in
from tests.harness import SYSTEM_TENANT, ServiceProcess


def is_on_one_line(button: Locator) -> bool:
    return bool(
        button.evaluate("each => each.offsetHeight < 2 * parseFloat(getComputedStyle(each).lineHeight)")
    )


@pytest.mark.parametrize("person", ["ada", "christiane.von-hohenstein-oberdorf@subsidiary.example.com"])
def test_no_label_of_a_button_breaks_at_360_px(
    browser: Browser, service: ServiceProcess, person: str
) -> None:
    until = {"to": "bob-of-the-other-department", "endsAt": "2027-06-01T00:00:00Z"}
    asked(service, "POST", "/hitl/delegations", until, SYSTEM_TENANT)
    page = signed_in(browser, service, person, SYSTEM_TENANT, roles=["admin"])
    page.goto(f"{service.url}/console/delegations?of=rita")
    for name in ("Sign out", "End delegation"):
        button = page.get_by_role("button", name=name).first
        assert button.is_visible(), name
        assert is_on_one_line(button), name
    assert fits(page)


@pytest.mark.parametrize("width", [360, 1280])
def test_no_word_however_long_pushes_a_sum_out_of_the_inbox(
    browser: Browser, service: ServiceProcess, width: int
) -> None:
    asked_for(service, "W" * 180)
    page = signed_in(browser, service, "ada")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{service.url}/console")
    assert page.get_by_role("link", name="WWW").first.is_visible()
    assert page.evaluate("(each => each.scrollWidth <= each.clientWidth)(document.querySelector('.scroll'))")
