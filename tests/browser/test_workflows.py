"""Workflows in a real browser: the list, a start by a form, one as it goes on, and what is done with it."""

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.runs import complete, started, state, step_id
from tests.browser.visitor import SECRET, looks_well, picture, serious, signed_in
from tests.harness import ServiceProcess, service_process

STEPS = ("risk_analysis", "risk_scoring", "forecast", "recommendation")


def test_one_is_started_found_and_watched_to_its_end(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}/console/workflows")
    assert "No workflows yet" in page.locator("main").inner_text()
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
    state(page, "completed")
    assert page.evaluate("window.sameOne"), "the page was not loaded again"
    expect(page.locator("#events li").first).to_contain_text("workflow.completed")
    page.goto(f"{service.url}/console/workflows?opportunityId=opp-417")
    row = page.get_by_role("row").filter(has_text="opp-417")
    assert row.get_by_text("4 of 4").is_visible()
    picture(page, "workflows")
    assert serious(page) == []
    page.get_by_label("Status").select_option("failed")
    page.get_by_role("button", name="Apply filters").click()
    assert "No workflows match" in page.locator("main").inner_text()
    assert "opportunityId=opp-417" in page.url


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


def test_pages_do_not_pass_for_live_while_the_service_is_away_and_go_on_when_it_comes_back(
    browser: Browser, tmp_path: Path
) -> None:
    with service_process(tmp_path, JWT_SECRET=SECRET, BATCH_JOBS_ENABLED="false") as service:
        page = signed_in(browser, service, "ada")
        beside = page.context.new_page()
        beside.goto(f"{service.url}/console/system")
        id = started(page, service, "opp-9")
        service.kill()
        for each in (page, beside):
            expect(each.locator("#offline")).to_be_visible()
        service.start()
        complete(service, id, "forecast")
        expect(page.locator("svg .step.completed")).to_have_count(1)
        for each in (page, beside):
            expect(each.locator("#offline")).to_be_hidden()
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


def test_a_change_that_cannot_be_shown_at_once_is_shown_later(
    browser: Browser, service: ServiceProcess
) -> None:
    """As when the service goes away between the news and the look at it: news come only once."""
    page = signed_in(browser, service, "ada")
    id = started(page, service, "opp-11")
    page.route(f"**/workflows/{id}", lambda route: route.abort())
    complete(service, id, "forecast")
    expect(page.locator("#offline")).to_be_visible()
    page.unroute_all()
    expect(page.locator("svg .step.completed")).to_have_count(1)
    expect(page.locator("#offline")).to_be_hidden()


def see(page: Page, *, is_hidden: bool) -> None:
    """As if its tab were behind another one, or in front again."""
    page.evaluate(
        "value => Object.defineProperty(document, 'hidden', { value, configurable: true })", arg=is_hidden
    )
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_pages_that_nobody_sees_hold_no_connection_and_are_as_new_as_any_once_they_are_seen(
    browser: Browser, service: ServiceProcess
) -> None:
    """A browser has six connections to a service; each of these pages would hold one for good."""
    page = signed_in(browser, service, "ada")
    id = started(page, service, "opp-behind")
    behind = [page, *(page.context.new_page() for _ in range(6))]
    for each in behind:
        each.goto(f"{service.url}/console/workflows/{id}")
        see(each, is_hidden=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    complete(service, id, "forecast")
    system = page.context.new_page()
    system.goto(f"{service.url}/console/system")
    see(system, is_hidden=True)
    system.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3500)
    assert asked == []
    expect(page.locator("svg .step.completed")).to_have_count(0)
    see(page, is_hidden=False)
    expect(page.locator("svg .step.completed")).to_have_count(1)
    complete(service, id, "risk_scoring")
    expect(page.locator("svg .step.completed")).to_have_count(2)


def test_what_goes_on_takes_away_neither_the_focus_nor_a_click(
    browser: Browser, service: ServiceProcess
) -> None:
    page = signed_in(browser, service, "ada")
    id = started(page, service, "opp-focus")
    forecast, scoring = (f"step-{step_id(service, id, name)}" for name in ("forecast", "risk_scoring"))
    own = "document.activeElement.closest('[data-part]').id"
    pause = page.get_by_role("button", name="Pause", exact=True)
    pause.evaluate("button => { button.own = true; button.focus(); }")
    link = page.locator(f"svg a[href='#of-{forecast.removeprefix('step-')}']")
    page.locator(f"#{forecast} > summary").click()
    link.focus()
    complete(service, id, "forecast")
    expect(page.locator("svg .step.completed")).to_have_count(1)
    assert page.evaluate(own) == "picture"
    assert link.evaluate("link => link === document.activeElement")
    expect(page.locator(f"#{forecast}")).to_have_attribute("open", "")
    assert pause.evaluate("button => button.own"), "what is as before stays"
    page.locator(f"#{scoring} > summary").focus()
    skip = page.get_by_role("button", name="Skip recommendation")
    page.locator("summary").filter(has_text="recommendation").click()
    skip.hover()
    skip.locator("xpath=ancestor::form").get_by_label("Reason").fill("no need")
    skip.hover()
    page.mouse.down()
    complete(service, id, "risk_scoring")
    page.wait_for_timeout(1000)
    expect(page.locator("svg .step.completed")).to_have_count(1)
    page.mouse.up()
    expect(page.locator("svg .step.skipped")).to_have_count(1)


def test_it_fits_in_light_and_dark(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    id = started(page, service, "opp-with-a-name-that-is-rather-long-" * 3)
    complete(service, id, "forecast")
    for path in (id, "start?definition=deal-review"):
        page.goto(f"{service.url}/console/workflows/{path}")
        looks_well(page)
