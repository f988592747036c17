"""Workflows in a real browser: the list, a start by a form, one as it goes on, and what is done with it."""

import functools
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.visitor import (
    SCRIPT,
    SECRET,
    client,
    field,
    fits,
    picture,
    serious,
    signed_in,
)
from tests.harness import OTHER_TENANT, ServiceProcess, service_process

STEPS = ("risk_analysis", "risk_scoring", "forecast", "recommendation")


def started(page: Page, service: ServiceProcess, deal: str) -> str:
    """A workflow, started by the form; its id. No neighbour answers, so it goes on when a test says so."""
    page.goto(f"{service.url}/console/workflows/start?definition=opportunity-analysis")
    page.get_by_role("textbox", name="Deal").fill(deal)
    page.get_by_role("button", name="Start").click()
    page.get_by_role("heading", name="opportunity-analysis running").wait_for()
    return page.url.rpartition("/")[2]


def complete(service: ServiceProcess, id: str, step_type: str) -> None:
    """As its service would have answered."""
    with client(service, "rita") as asking:
        steps = asking.get(f"/workflows/{id}").json()["steps"]
        step = next(each["stepId"] for each in steps if each["stepType"] == step_type)
        answer = asking.post(f"/workflows/{id}/steps/{step}/complete", json={"result": {"score": 0.4}})
        assert answer.is_success, answer.text


def order(page: Page, name: str, reason: str = "") -> None:
    if reason:
        page.locator("#orders").get_by_label("Reason").fill(reason)
    page.get_by_role("button", name=name, exact=True).click()


def status(page: Page, text: str) -> None:
    expect(page.locator("h1 .badge")).to_have_text(text)


def test_one_is_started_found_and_watched_to_its_end(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}/console/workflows")
    assert "There is no workflow yet" in page.locator("main").inner_text()
    id = started(page, service, "opp-417")
    assert page.locator("svg .step.running").count() == len(STEPS)
    assert serious(page) == []
    page.evaluate("window.sameOne = true")
    summary = page.locator("summary").filter(has_text="forecast")
    summary.click()
    complete(service, id, "forecast")
    expect(page.locator("svg .step.completed title")).to_have_text("forecast: completed")
    expect(page.locator("details[open] pre")).to_contain_text("0.4")
    picture(page, "workflow")
    for step_type in STEPS:
        if step_type != "forecast":
            complete(service, id, step_type)
    status(page, "completed")
    assert page.evaluate("window.sameOne"), "the page was not loaded again"
    expect(page.locator("#events li").first).to_contain_text("workflow.completed")
    page.goto(f"{service.url}/console/workflows?opportunityId=opp-417")
    row = page.get_by_role("row").filter(has_text="opp-417")
    assert row.get_by_text("4 of 4").is_visible()
    picture(page, "workflows")
    assert serious(page) == []
    page.get_by_label("Status").select_option("failed")
    page.get_by_role("button", name="Show").click()
    assert "No workflow is so" in page.locator("main").inner_text()
    assert "opportunityId=opp-417" in page.url


def test_it_is_paused_resumed_cancelled_and_retried_with_reasons(
    browser: Browser, service: ServiceProcess
) -> None:
    page = signed_in(browser, service, "ada")
    started(page, service, "opp-5")
    order(page, "Pause")
    assert page.locator("#orders").get_by_label("Reason").evaluate("field => field.matches(':invalid')")
    order(page, "Pause", "the CRM is being cleaned")
    status(page, "paused")
    assert page.get_by_text("the CRM is being cleaned").is_visible()
    order(page, "Resume")
    status(page, "running")
    page.locator("summary").filter(has_text="risk_scoring").click()
    page.locator("details[open]").get_by_label("Reason").fill("no model for it")
    page.get_by_role("button", name="Skip risk_scoring").click()
    expect(page.locator("svg .step.skipped title")).to_have_text("risk_scoring: skipped")
    order(page, "Cancel", "asked by the owner")
    status(page, "cancelled")
    order(page, "Retry")
    status(page, "running")
    expect(page.locator("#facts")).to_contain_text("Executions")


def test_an_order_that_comes_too_late_is_refused_in_words(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    id = started(page, service, "opp-6")
    send = functools.partial(page.request.post, headers={"Origin": service.url}, max_redirects=0)
    form: dict[str, str | float | bool] = {"key": field(page.locator("#orders"), "key"), "do": "retry"}
    refused = send(f"{service.url}/console/workflows/{id}", form=form)
    assert refused.status == 409
    assert 'role="alert"' in refused.text()
    for nothing in ("explode", "skip 00000000-0000-0000-0000-000000000000", "skip ../../x"):
        answer = send(f"{service.url}/console/workflows/{id}", form={"key": "k", "do": nothing})
        assert answer.status in (400, 404), nothing


def test_a_form_made_from_a_schema_names_what_is_wrong(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}/console/workflows/start")
    page.get_by_label("Definition").select_option("deal-review")
    page.get_by_role("button", name="Choose").click()
    page.get_by_role("textbox", name="Deal").fill("opp-8")
    page.get_by_role("textbox", name="amount").fill("much")
    assert serious(page) == []
    page.get_by_role("button", name="Start").click()
    assert page.get_by_role("alert").inner_text() == "amount: must be a number"
    assert page.get_by_role("textbox", name="Deal").input_value() == "opp-8"
    page.get_by_role("textbox", name="amount").fill("-3")
    page.get_by_role("button", name="Start").click()
    assert "amount" in page.get_by_role("alert").inner_text()
    page.get_by_role("textbox", name="amount").fill("125000.5")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("h1")).to_contain_text("deal-review")
    assert '"amount": 125000.5' in page.locator("#facts pre").first.inner_text()


def test_the_page_goes_on_when_the_service_comes_back(browser: Browser, tmp_path: Path) -> None:
    with service_process(tmp_path, JWT_SECRET=SECRET, BATCH_JOBS_ENABLED="false") as service:
        page = signed_in(browser, service, "ada")
        id = started(page, service, "opp-9")
        service.kill()
        service.start()
        complete(service, id, "forecast")
        expect(page.locator("svg .step.completed")).to_have_count(1)
        service.kill()
        service.start()
        complete(service, id, "risk_scoring")
        expect(page.locator("svg .step.completed")).to_have_count(2)


def test_a_stream_that_is_refused_for_now_is_asked_for_again(
    browser: Browser, service: ServiceProcess
) -> None:
    """As by a gateway whose service is being started anew; a browser gives up then."""
    page = signed_in(browser, service, "ada")
    page.route("**/stream", lambda route: route.fulfill(status=503))
    id = started(page, service, "opp-10")
    expect(page.locator("#offline")).to_be_visible()
    page.unroute("**/stream")
    complete(service, id, "forecast")
    expect(page.locator("svg .step.completed")).to_have_count(1)
    expect(page.locator("#offline")).to_be_hidden()


def test_what_people_write_is_text_and_another_tenant_sees_none_of_it(
    browser: Browser, service: ServiceProcess
) -> None:
    page = signed_in(browser, service, "ada")
    id = started(page, service, SCRIPT)
    order(page, "Pause", SCRIPT)
    status(page, "paused")
    assert page.locator("main").inner_text().count("<script>") >= 2
    page.goto(
        f"{service.url}/console/workflows?opportunityId=%3Cscript%3Ealert(1)%3C/script%3E&status=%22%3E%3Cb%3E"
    )
    page.goto(f"{service.url}/console/workflows")
    assert "<script>" in page.locator("main").inner_text()
    assert page.title() != "caught"
    other = signed_in(browser, service, "eve", OTHER_TENANT)
    other.goto(f"{service.url}/console/workflows")
    assert "There is no workflow yet" in other.locator("main").inner_text()
    send = functools.partial(other.request.post, headers={"Origin": service.url}, max_redirects=0)
    for path in ("", "/stream"):
        answer = other.request.get(f"{service.url}/console/workflows/{id}{path}")
        assert (answer.status, "script" in answer.text().partition("<main")[2]) == (404, False)
    form: dict[str, str | float | bool] = {"key": "k", "do": "cancel", "reason": "mine"}
    assert send(f"{service.url}/console/workflows/{id}", form=form).status == 404
    page.goto(f"{service.url}/console/workflows/{id}")
    status(page, "paused")


@pytest.mark.parametrize("width", [360, 1920])
def test_it_fits(browser: Browser, service: ServiceProcess, width: int) -> None:
    page = signed_in(browser, service, "ada")
    page.set_viewport_size({"width": width, "height": 800})
    started(page, service, f"opp-{width}-with-a-name-that-is-rather-long-" * 3)
    assert fits(page)
    for path in ("workflows", "workflows/start?definition=deal-review"):
        page.goto(f"{service.url}/console/{path}")
        assert fits(page), path
