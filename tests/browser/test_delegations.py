"""Delegations in a real browser: made, seen by both, taken back, and another tenant's left alone."""

import functools
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Browser, Page, expect

from tests.browser.visitor import SCRIPT, client, looks_well, picture, serious, signed_in
from tests.harness import OTHER_TENANT, TENANT, ServiceProcess

LOCAL = "%Y-%m-%dT%H:%M"


def in_days(days: int) -> str:
    """As the field for a moment takes it, in UTC."""
    return f"{datetime.now(UTC) + timedelta(days=days):{LOCAL}}"


def opened(browser: Browser, service: ServiceProcess, person: str, tenant: str = TENANT) -> Page:
    page = signed_in(browser, service, person, tenant)
    page.get_by_role("link", name="Delegations").click()
    page.get_by_role("heading", name="Delegations").wait_for()
    return page


def made(service: ServiceProcess, by: str, to: str, reason: str = "on leave", tenant: str = TENANT) -> str:
    """A delegation over REST; its id."""
    with client(service, by, tenant) as asking:
        body = {"to": to, "endsAt": f"{in_days(30)}:00Z", "reason": reason}
        answer = asking.post("/hitl/delegations", json=body)
        assert answer.is_success, answer.text
        there = {"X-Min-Position": answer.headers["x-position"], "Prefer": "wait=10"}
        assert asking.get("/hitl/delegations", headers=there).is_success
        return str(answer.json()["id"])


def test_somebody_delegates_by_keyboard_and_takes_it_back(browser: Browser, service: ServiceProcess) -> None:
    page = opened(browser, service, "dora")
    expect(page.get_by_text("No delegates yet.")).to_be_visible()
    assert serious(page) == []
    page.get_by_label("Delegate", exact=True).focus()
    page.keyboard.type("gina")
    page.get_by_label("Until (UTC)").fill(in_days(10))
    page.get_by_label("Reason (optional)").fill("on leave")
    page.get_by_label("Reason (optional)").press("Enter")
    row = page.get_by_role("row").filter(has_text="gina")
    expect(row).to_contain_text("active")
    expect(row).to_contain_text("on leave")
    looks_well(page)
    picture(page, "delegations")
    gina = opened(browser, service, "gina")
    expect(gina.get_by_role("row").filter(has_text="dora")).to_contain_text("active")
    expect(gina.get_by_role("button", name="End delegation")).to_have_count(0)
    page.get_by_role("button", name="End delegation to gina").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("row").filter(has_text="gina")).to_contain_text("ended early")
    expect(page.get_by_role("button", name="End delegation")).to_have_count(0)


def test_what_is_refused_is_still_filled_in(browser: Browser, service: ServiceProcess) -> None:
    page = opened(browser, service, "hana")
    page.get_by_label("Delegate", exact=True).fill("ivan")
    page.get_by_label("From (UTC, default: now)").fill(in_days(3))
    page.get_by_label("Until (UTC)").fill(in_days(2))
    page.get_by_label("Reason (optional)").fill('a "long" trip')
    page.get_by_role("button", name="Create delegation").click()
    expect(page.get_by_role("alert")).to_contain_text("endsAt: must be later than startsAt")
    assert page.get_by_label("Delegate", exact=True).input_value() == "ivan"
    assert page.get_by_label("From (UTC, default: now)").input_value() == in_days(3)
    assert page.get_by_label("Reason (optional)").input_value() == 'a "long" trip'
    page.get_by_label("Until (UTC)").fill(in_days(5))
    page.get_by_role("button", name="Create delegation").click()
    expect(page.get_by_role("row").filter(has_text="ivan")).to_contain_text("upcoming")


def test_two_clicks_make_one_delegation(browser: Browser, service: ServiceProcess) -> None:
    page = opened(browser, service, "jana")
    page.get_by_label("Delegate", exact=True).fill("karl")
    page.get_by_label("Until (UTC)").fill(in_days(5))
    page.get_by_role("button", name="Create delegation").dblclick()
    expect(page.get_by_role("row").filter(has_text="karl")).to_have_count(1)
    page.reload()
    expect(page.get_by_role("row").filter(has_text="karl")).to_have_count(1)


def test_nobody_delegates_or_takes_back_what_is_anothers(browser: Browser, service: ServiceProcess) -> None:
    id = made(service, "lena", "mira")
    page = opened(browser, service, "nora")
    assert page.get_by_label("Person away").count() == 0
    page.goto(f"{service.url}/console/delegations?of=lena")
    expect(page.get_by_role("row").filter(has_text="mira")).to_contain_text("active")
    expect(page.get_by_role("button", name="End delegation")).to_have_count(0)
    send = functools.partial(page.request.post, headers={"Origin": service.url}, max_redirects=0)
    away: dict[str, str | float | bool] = {
        "do": "delegate",
        "by": "lena",
        "to": "nora",
        "endsAt": in_days(2),
        "key": "k",
    }
    assert send(f"{service.url}/console/delegations", form=away).status == 403
    assert send(f"{service.url}/console/delegations", form={"do": f"end {id}", "key": "k"}).status == 403
    for nonsense in ("end ../../jobs", "end", "start", ""):
        answer = send(f"{service.url}/console/delegations", form={"do": nonsense, "key": "k"})
        assert answer.status == 400, nonsense


def test_what_people_write_is_text_and_another_tenant_sees_none_of_it(
    browser: Browser, service: ServiceProcess
) -> None:
    id = made(service, "olga", SCRIPT, SCRIPT)
    page = opened(browser, service, "olga")
    assert page.locator("main").inner_text().count(SCRIPT) == 2
    page.goto(f"{service.url}/console/delegations?of=%22%3E%3Cscript%3E&given=%3Cb%3E")
    assert page.title() != "caught"
    other = opened(browser, service, "olga", OTHER_TENANT)
    expect(other.get_by_text("No delegates yet.")).to_be_visible()
    other.goto(f"{service.url}/console/delegations?of=olga")
    assert "onerror" not in other.content()
    send = functools.partial(other.request.post, headers={"Origin": service.url}, max_redirects=0)
    assert send(f"{service.url}/console/delegations", form={"do": f"end {id}", "key": "k"}).status == 404
    page.goto(f"{service.url}/console/delegations")
    expect(page.get_by_text("active", exact=True)).to_have_count(1)


def test_it_fits_in_light_and_dark(browser: Browser, service: ServiceProcess) -> None:
    person = "paul"
    made(service, person, "quin", "a-reason-without-a-space-" * 20)
    page = opened(browser, service, person)
    looks_well(page)
