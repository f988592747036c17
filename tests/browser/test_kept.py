"""What somebody has typed when their session is over: kept in their tab, for them alone, and then gone."""

from playwright.sync_api import Browser, Page, expect

from tests.browser.asking import asked
from tests.browser.runs import started
from tests.browser.visitor import looks_well, refresh, sign_in_at_the_door, signed_in
from tests.harness import OTHER_TENANT, ServiceProcess

TEXT = "a reason that took long to write"


def is_kept(page: Page) -> bool:
    page.wait_for_load_state()  # with the script that keeps and forgets
    return bool(page.evaluate("sessionStorage.length"))


def sent_too_late(page: Page, service: ServiceProcess, id: str) -> None:
    """Somebody comments on an approval, and is at the door."""
    page.goto(f"{service.url}/console/approvals/{id}")
    page.get_by_label("Comment (required to reject)").fill(TEXT)
    page.context.clear_cookies()
    page.get_by_role("button", name="Add comment").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    assert is_kept(page)


def test_a_form_that_came_too_late_is_there_again_for_who_sent_it(
    browser: Browser, service: ServiceProcess
) -> None:
    id = asked(service, "Late, once")
    page = signed_in(browser, service, "ada")
    sent_too_late(page, service, id)
    expect(page.get_by_role("alert")).to_contain_text(
        "so nothing was done. What you typed is saved in this tab"
    )
    assert "ada" not in page.content()
    looks_well(page)
    page.get_by_label("Tenant").fill("no-tenant")
    page.get_by_label("Access token").fill("x")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).not_to_contain_text("nothing was done")
    sign_in_at_the_door(page, "ada")
    expect(page.get_by_label("Comment (required to reject)")).to_have_value(TEXT)
    expect(page.get_by_role("status")).to_contain_text("What you typed has been restored")
    expect(page.locator("#history")).not_to_contain_text(TEXT)
    looks_well(page)
    assert not is_kept(page), "it is in the form"
    page.get_by_role("button", name="Add comment").click()
    expect(page.locator("#history")).to_contain_text(TEXT)
    expect(page.get_by_label("Comment (required to reject)")).to_have_value("")
    assert not is_kept(page), "it was sent"


def test_who_signs_in_instead_finds_nothing_and_a_sign_out_takes_it_away(
    browser: Browser, service: ServiceProcess
) -> None:
    id = asked(service, "Late, twice")
    page = signed_in(browser, service, "ada")
    sent_too_late(page, service, id)
    sign_in_at_the_door(page, "bob")
    expect(page.get_by_label("Comment (required to reject)")).to_have_value("")
    assert not is_kept(page)
    sent_too_late(page, service, id)
    page.goto(f"{service.url}/console/system")
    sign_in_at_the_door(page, "bob")
    page.get_by_role("heading", name="System").wait_for()
    assert is_kept(page), "its page was not looked at yet"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    assert not is_kept(page)


def test_whoever_has_the_same_name_in_another_tenant_finds_nothing(
    browser: Browser, service: ServiceProcess
) -> None:
    id = asked(service, "Late, elsewhere")
    page = signed_in(browser, service, "ada")
    sent_too_late(page, service, id)
    assert is_kept(page)
    page.goto(f"{service.url}/console")
    sign_in_at_the_door(page, "ada", OTHER_TENANT)
    page.get_by_role("button", name="Sign out").wait_for()
    assert not is_kept(page)


def test_what_was_chosen_and_what_is_folded_away_is_there_again(
    browser: Browser, service: ServiceProcess
) -> None:
    first, id = asked(service, "Late, first"), asked(service, "Late, second")
    page = signed_in(browser, service, "ada")
    page.get_by_label("Select Late, second").check()
    page.get_by_label("Comment (required to reject)").fill(TEXT)
    page.context.clear_cookies()
    page.get_by_role("button", name="Reject selected").click()
    sign_in_at_the_door(page, "ada")
    expect(page.get_by_label("Comment (required to reject)")).to_have_value(TEXT)
    assert page.get_by_label("Select Late, second").is_checked()
    assert not page.get_by_label("Select Late, first").is_checked()
    page.goto(f"{service.url}/console/approvals/{first}")
    page.get_by_text("Reassign approval").click()
    page.locator("select[name=kind]").select_option("Group")
    page.get_by_label("Name of the person or group").fill("finance")
    page.get_by_label("Reason for reassigning").fill(TEXT)
    page.context.clear_cookies()
    page.get_by_role("button", name="Reassign").click()
    sign_in_at_the_door(page, "ada")
    expect(page.get_by_label("Reason for reassigning")).to_be_visible()
    expect(page.locator("select[name=kind]")).to_have_value("group")
    page.goto(f"{service.url}/console/approvals/{id}")
    expect(page.locator("h1 .badge")).to_have_text("pending")


def test_a_page_that_is_loaded_again_keeps_what_its_form_holds(
    browser: Browser, service: ServiceProcess
) -> None:
    page = signed_in(browser, service, "ada")
    id = started(page, service, "opp-late")
    page.locator("#orders").get_by_label("Reason").fill(TEXT)
    page.context.clear_cookies()
    refresh(page)
    page.locator("#offline").get_by_role("link").click()
    sign_in_at_the_door(page, "ada")
    expect(page.locator("#orders").get_by_label("Reason")).to_have_value(TEXT)
    assert page.url.endswith(id)
