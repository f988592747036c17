"""What a narrow screen does to the frame of every page and to its buttons."""

import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.browser.asking import asked as asked_for
from tests.browser.asking import post
from tests.browser.runs import asked
from tests.browser.visitor import fits, signed_in
from tests.harness import SYSTEM_TENANT, ServiceProcess


def is_on_one_line(button: Locator) -> bool:
    return bool(
        button.evaluate("each => each.offsetHeight < 2 * parseFloat(getComputedStyle(each).lineHeight)")
    )


def shows_all_columns(page: Page) -> bool:
    """Whether nobody has to scroll the page's first table sideways."""
    return bool(
        page.evaluate("(each => each.scrollWidth <= each.clientWidth)(document.querySelector('.scroll'))")
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
    assert shows_all_columns(page)


@pytest.mark.parametrize("width", [360, 1280])
def test_no_name_nor_reason_however_long_pushes_a_date_or_a_button_out_of_a_table(
    browser: Browser, service: ServiceProcess, width: int
) -> None:
    deal = {"opportunityId": "opp-long-name", "riskScore": 0.5, "amount": 10}
    post(service, "", deal, person="r" * 180)
    until = {"to": "D" * 180, "endsAt": "2027-06-01T00:00:00Z", "reason": "W" * 500}
    asked(service, "POST", "/hitl/delegations", until)
    page = signed_in(browser, service, "ada", roles=["admin"])
    page.set_viewport_size({"width": width, "height": 800})
    for path, shown in (("?opportunityId=opp-long-name", "rrr"), ("/delegations?of=rita", "DDD")):
        page.goto(f"{service.url}/console{path}")
        assert page.get_by_role("cell", name=shown).first.is_visible()
        assert shows_all_columns(page), path
