"""The inbox in a real browser: one service with tokens, one Chromium."""

import functools
from pathlib import Path

import httpx
from playwright.sync_api import Browser, expect

from interfaces.console.deciding import outcome_of
from tests.browser.asking import asked, post
from tests.browser.visitor import (
    SCRIPT,
    client,
    field,
    looks_well,
    picture,
    serious,
    sign_in_at_the_door,
    signed_in,
    token,
)
from tests.harness import OTHER_TENANT, TENANT, ServiceProcess, service_process


def test_an_approver_signs_in_sees_what_waits_and_approves_it(
    browser: Browser, service: ServiceProcess
) -> None:
    for subject in ("Acme Corp, three years", "Umbrella Health, liability cap"):
        asked(service, subject)
    page = browser.new_context(viewport={"width": 360, "height": 800}).new_page()
    page.goto(f"{service.url}/console")
    sign_in_at_the_door(page, "ada")
    page.get_by_role("heading", name="Inbox").wait_for()
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert serious(page) == []
    picture(page, "inbox")
    row = page.get_by_role("row").filter(has_text="Acme Corp")
    assert row.get_by_text("250,000", exact=True).is_visible()
    assert row.get_by_text("high", exact=True).is_visible()
    page.get_by_role("link", name="Acme Corp, three years").click()
    picture(page, "approval")
    page.get_by_label("Comment (required to reject)").fill("strategic account")
    assert serious(page) == []
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("strategic account").first.wait_for()
    assert page.get_by_text("Decided by").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_decision_that_lost_the_race_says_who_won(browser: Browser, service: ServiceProcess) -> None:
    id = asked(service, "Globex renewal")
    page = signed_in(browser, service, "bob")
    page.goto(f"{service.url}/console/approvals/{id}")
    post(service, f"/{id}/reject", {"decidedBy": "cleo", "comment": "no champion"}, "cleo")
    page.get_by_role("button", name="Approve").click()
    assert "was rejected by cleo" in page.get_by_role("alert").inner_text()


def test_several_are_rejected_at_once(browser: Browser, service: ServiceProcess) -> None:
    asked(service, "Initech, first")
    asked(service, "Initech, second")
    page = signed_in(browser, service, "ada")
    for row in page.get_by_role("row").filter(has_text="Initech").all():
        row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Reject selected").click()
    assert page.get_by_label("Comment (required to reject)").evaluate("field => field.matches(':invalid')")
    page.get_by_label("Comment (required to reject)").fill("budget is gone")
    page.get_by_role("button", name="Reject selected").click()
    expect(page.get_by_role("status").filter(has_text="rejected")).to_have_count(2)


def test_two_clicks_decide_once_and_the_address_of_what_was_decided_can_be_shared(
    browser: Browser, service: ServiceProcess
) -> None:
    id = asked(service, "Wayne, twice", opportunityId="opp-wayne")
    page = signed_in(browser, service, "ada")
    page.get_by_label("Deal").focus()
    page.keyboard.type("opp-wayne")
    page.keyboard.press("Enter")
    expect(page.get_by_role("checkbox")).to_have_count(1)
    page.get_by_label("Select Wayne, twice").focus()
    page.keyboard.press("Space")
    page.get_by_label("Comment (required to reject)").fill("it fits")
    page.get_by_label("Comment (required to reject)").press("Enter")
    expect(page.get_by_role("checkbox")).to_be_checked()
    page.get_by_role("button", name="Approve selected").dblclick()
    expect(page.get_by_role("status")).to_have_text("Wayne, twice: approved")
    expect(page.get_by_text("No approvals match.")).to_be_visible()
    with client(service, "ada") as asking:
        assert asking.get(f"/hitl/approvals/{id}/events").json()["total"] == 2
    page.locator("select[name=status]").select_option("All approved")
    page.get_by_role("button", name="Apply filters").click()
    expect(page.get_by_role("row").filter(has_text="Wayne, twice")).to_contain_text("approved by ada")
    assert serious(page) == []
    other = signed_in(browser, service, "bob")
    other.goto(page.url)
    expect(other.get_by_role("row").filter(has_text="Wayne, twice")).to_contain_text("it fits")
    expect(other.get_by_label("Deal")).to_have_value("opp-wayne")


def test_a_form_that_is_sent_twice_decides_once_and_a_rejection_says_why(
    browser: Browser, service: ServiceProcess
) -> None:
    id = asked(service, "Hooli, once")
    page = signed_in(browser, service, "ada")
    send = functools.partial(page.request.post, headers={"Origin": service.url}, max_redirects=0)
    row = page.get_by_role("row").filter(has_text="Hooli, once")
    form: dict[str, str | float | bool] = {
        "key": field(page, "key"),
        "approval": row.get_by_role("checkbox").input_value(),
        "do": "reject",
    }
    refused = send(f"{service.url}/console", form=form)
    assert refused.status == 400
    assert "A rejection needs a reason." in refused.text()
    answers = [send(f"{service.url}/console", form={**form, "comment": "no"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [303, 303]
    assert {answer.headers["location"] for answer in answers} == {
        f"/console?came={outcome_of('rejected', [id])}"
    }
    came, word = outcome_of("HITL_APPROVAL_NOT_PENDING", [id]), outcome_of("Call+us", [id])
    page.goto(f"{service.url}/console?came={came}&came=<b>.x&came={word}&came=approved.&came=approved.x")
    assert page.get_by_role("status").all_inner_texts() == [
        "Hooli, once: not pending: ada has already rejected it"
    ]


def test_who_agreed_before_names_the_stage(browser: Browser, service: ServiceProcess) -> None:
    stages = [{"name": name, "approvers": [{"user": "ada"}]} for name in ("review", "board")]
    facts = {"opportunityId": "opp-9", "riskScore": 0.1, "amount": 1.5, "policy": {"stages": stages}}
    id = post(service, "", facts)
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}/console/approvals/{id}")
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("For stage board").wait_for()
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Decided by").wait_for()


def test_behind_a_gateway_its_headers_say_who_it_is_and_nobody_signs_out(tmp_path: Path) -> None:
    with service_process(tmp_path, BATCH_JOBS_ENABLED="false") as running:
        door = httpx.get(f"{running.url}/console")
        inside = httpx.get(
            f"{running.url}/console", headers={"X-Tenant-ID": TENANT, "X-User-ID": "ada", "X-User-Roles": ""}
        )
    assert door.status_code == 401
    assert "Access token" not in door.text
    assert inside.status_code == 200
    assert "ada" in inside.text
    assert "sign-out" not in inside.text


def test_what_people_write_is_text_and_another_tenant_sees_none_of_it(
    browser: Browser, service: ServiceProcess
) -> None:
    id = asked(service, SCRIPT, SCRIPT)
    post(service, f"/{id}/comments", {"text": SCRIPT}, "ada")
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}/console/approvals/{id}")
    assert page.get_by_text(SCRIPT).count() >= 2
    page.set_viewport_size({"width": 1024, "height": 800})
    width = page.locator("form.card").evaluate("form => form.offsetWidth")
    assert width > 300, "a long line of the payload leaves no room to decide"
    assert page.title() != "caught"
    other = signed_in(browser, service, "eve", OTHER_TENANT)
    assert other.get_by_text("Nothing is waiting for you").is_visible()
    answer = other.goto(f"{service.url}/console/approvals/{id}")
    assert answer is not None
    assert answer.status == 404
    assert "opp-417" not in other.content()


def test_no_form_or_link_reaches_another_tenants_approval(browser: Browser, service: ServiceProcess) -> None:
    id = asked(service, "Soylent, ours")
    ours = signed_in(browser, service, "ada")
    row = ours.get_by_role("row").filter(has_text="Soylent, ours")
    chosen = row.get_by_role("checkbox").input_value()
    other = signed_in(browser, service, "eve", OTHER_TENANT)
    send = functools.partial(other.request.post, headers={"Origin": service.url}, max_redirects=0)
    orders = ("approve", "comments", "reassign", "claim", "release", "withdraw", "revise")
    for what in orders:
        form: dict[str, str | float | bool] = {
            "do": what,
            "comment": "mine",
            "to": "eve",
            "reason": "mine",
            "key": what,
            "seen": "{}",
            "amount": "1",
            "riskScore": "1",
            "subject": "mine",
            "payload": "{}",
        }
        answer = send(f"{service.url}/console/approvals/{id}", form=form)
        assert (answer.status, "Soylent" in answer.text()) == (404, False), what
    bulk: dict[str, str | float | bool] = {"approval": chosen, "do": "approve", "key": "bulk"}
    answer = send(f"{service.url}/console", form=bulk)
    assert answer.headers["location"].endswith(outcome_of("HITL_APPROVAL_NOT_FOUND", [id]))
    for came in ("HITL_APPROVAL_NOT_FOUND", "approved"):
        other.goto(f"{service.url}/console?came={outcome_of(came, [id])}")
        assert "Soylent" not in other.content()
        assert other.get_by_role("status").count() == 0
    ours.goto(f"{service.url}/console/approvals/{id}")
    assert ours.locator("h1 .badge").inner_text() == "pending"
    assert ours.get_by_text("mine").count() == 0


def test_it_fits_in_light_and_dark(browser: Browser, service: ServiceProcess) -> None:
    long, deal = "a-word-without-a-space-" * 8, "opp-fits"
    asked(service, long, opportunityId=deal)
    id = asked(service, SCRIPT, opportunityId=deal)
    post(service, f"/{id}/reject", {"decidedBy": "bob", "comment": long + SCRIPT}, "bob")
    page = signed_in(browser, service, "ada")
    for query in ("", "&status=any", "&status=rejected", "&status=nonsense", "&status=expired"):
        page.goto(f"{service.url}/console?opportunityId={deal}{query}")
        looks_well(page)
    assert page.title() != "caught"


def test_a_link_that_is_shared_leads_to_its_page_from_another_site_and_through_the_door(
    browser: Browser, service: ServiceProcess
) -> None:
    id = asked(service, "Stark, shared")
    address = f"{service.url}/console/approvals/{id}?of=it"
    page = signed_in(browser, service, "ada")
    page.goto(f"data:text/html,<a href='{address}'>look</a>")
    page.get_by_role("link", name="look").click()
    page.get_by_role("heading", name="Stark, shared").wait_for()
    stranger = browser.new_context().new_page()
    stranger.goto(address)
    for given, is_known in (("nonsense", False), (token("bob"), True)):
        stranger.get_by_label("Tenant").fill(TENANT)
        stranger.get_by_label("Access token").fill(given)
        stranger.get_by_role("button", name="Sign in").click()
        expect(stranger.get_by_role("alert")).to_have_count(0 if is_known else 1)
    stranger.get_by_role("heading", name="Stark, shared").wait_for()
    assert stranger.url == address
    for elsewhere in ("//evil.test", "https://evil.test/console/", "/consolex", "/\\evil.test", ""):
        form: dict[str, str | float | bool] = {"tenant": TENANT, "token": token("bob"), "to": elsewhere}
        answer = stranger.request.post(
            f"{service.url}/console/sign-in", form=form, headers={"Origin": service.url}, max_redirects=0
        )
        assert answer.headers["location"] == "/console", elsewhere


def test_a_form_of_another_site_does_nothing(service: ServiceProcess) -> None:
    answer = httpx.post(
        f"{service.url}/console", data={"do": "approve"}, headers={"Origin": "http://evil.test"}
    )
    assert answer.status_code == 403
    assert "script-src 'self'" in answer.headers["content-security-policy"]
