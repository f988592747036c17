"""The trails of tasks, delegations, definitions and backfills in a real browser, and pasts that are long."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import Browser, Route, expect

from domain.values import SYSTEM_TENANT
from tests.browser.asking import commented
from tests.browser.runs import asked, begun, fail
from tests.browser.visitor import serious, signed_in
from tests.harness import OTHER_TENANT, UNKNOWN_ID, ServiceProcess

AUDIT = "/console/audit"


def test_a_task_leads_to_its_workflow(browser: Browser, service: ServiceProcess) -> None:
    step = {"stepType": "call", "kind": "task", "parameters": {"queue": "trail"}}
    id = begun(service, {"name": "trailed", "version": 1, "steps": [step]}, input={"secret": "opp-417"})
    fail(service, "trail")
    task = asked(service, "GET", "/tasks?queue=trail")["tasks"][0]["id"]
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}{AUDIT}?aggregateId={task}")
    page.get_by_role("link", name=f"task {task}").first.click()
    expect(page.locator("#which")).to_contain_text("task.failed")
    expect(page.locator(".timeline > li")).to_have_count(3)
    assert page.get_by_label("As of version").count() == 0, "it cannot be asked how it was"
    assert '"status": "failed"' in page.locator("#then").inner_text()
    page.get_by_role("link", name="version 1", exact=True).click()
    assert page.locator("li[aria-current]").get_by_text("task.offered").is_visible()
    assert serious(page) == []
    page.get_by_role("link", name="Workflow of this task").click()
    page.get_by_role("heading", name="trailed").wait_for()
    assert id in page.url
    other = signed_in(browser, service, "eve", OTHER_TENANT)
    answer = other.request.get(f"{service.url}{AUDIT}/task/{task}")
    assert (answer.status, "opp-417" in answer.text()) == (404, False)


def test_a_definition_and_a_delegation_have_a_trail(browser: Browser, service: ServiceProcess) -> None:
    step = {"stepType": "rest", "kind": "wait", "parameters": {"seconds": 1}}
    for version in (1, 2):
        body = {"name": "published", "version": version, "steps": [step], "description": f"take {version}"}
        asked(service, "PUT", "/workflow-definitions/published", body)
    until = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    made = asked(service, "POST", "/hitl/delegations", {"to": "bob", "endsAt": until, "reason": "on leave"})
    asked(service, "DELETE", f"/hitl/delegations/{made['id']}")
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}{AUDIT}?type=definition.published")
    page.get_by_role("link", name="definition published").first.click()
    expect(page.locator(".timeline > li")).to_have_count(2)
    assert "take 2" in page.locator("#then").inner_text()
    page.goto(f"{service.url}{AUDIT}?type=delegation.made")
    page.get_by_role("link", name=f"delegation {made['id']}").click()
    expect(page.locator(".timeline > li")).to_have_count(2)
    expect(page.locator("#which")).to_contain_text("delegation.made")
    assert page.get_by_text("on leave").first.is_visible()
    other = signed_in(browser, service, "eve", OTHER_TENANT)
    for path in (f"delegation/{made['id']}", "definition/published", f"task/{UNKNOWN_ID}", "definition/.."):
        answer = other.request.get(f"{service.url}{AUDIT}/{path}")
        assert (answer.status, "on leave" in answer.text()) == (404, False), path
    page.goto(f"{service.url}{AUDIT}/definition/opportunity-analysis")
    assert page.get_by_text("No events yet.").is_visible()


def test_a_backfill_is_seen_as_it_was(browser: Browser, service: ServiceProcess) -> None:
    days = {"from": "2026-01-01", "to": "2026-01-03", "windowDays": 1}
    made = asked(service, "POST", "/jobs/propagation/backfills", days, SYSTEM_TENANT)["backfillId"]
    off = {"reason": "not needed"}
    asked(service, "POST", f"/jobs/propagation/backfills/{made}/cancel", off, SYSTEM_TENANT)
    page = signed_in(browser, service, "olga", SYSTEM_TENANT)
    page.goto(f"{service.url}{AUDIT}?type=backfill.cancelled")
    page.get_by_role("link", name=f"backfill {made}").click()
    expect(page.locator("#which")).to_contain_text("backfill.cancelled")
    assert page.get_by_text("not needed").first.is_visible()
    page.get_by_label("As of version").press("Home")
    expect(page.locator("#which")).to_contain_text("backfill.requested")
    assert '"status": "running"' in page.locator("#then").inner_text()
    page.get_by_role("link", name="Job of this backfill").click()
    page.get_by_role("heading", name="propagation").wait_for()
    ada = signed_in(browser, service, "ada")
    assert ada.request.get(f"{service.url}{AUDIT}/backfill/{made}").status == 404


def test_a_slider_that_is_moved_before_its_script_is_there_is_followed(
    browser: Browser, service: ServiceProcess
) -> None:
    facts = {"opportunityId": "opp-1", "riskScore": 0.8, "amount": 5}
    id = asked(service, "POST", "/hitl/approvals", facts)["id"]
    commented(service, id, ("note 1", "note 2"))
    page, held = signed_in(browser, service, "ada"), list[Route]()
    scripts = "**/static/past.js*"
    page.route(scripts, lambda route: held.append(route))
    page.goto(f"{service.url}{AUDIT}/approval/{id}", wait_until="commit")
    page.get_by_label("As of version").press("Home")
    expect(page.locator("#which")).to_contain_text("Version 3 of 3")
    while not held:
        page.wait_for_timeout(10)
    held.pop().continue_()
    page.unroute(scripts)
    expect(page.locator("#which")).to_contain_text("Version 1 of 3")
    assert page.url.endswith("?version=1")


def test_a_moment_is_found_however_long_ago_it_was(browser: Browser, service: ServiceProcess) -> None:
    facts = {"opportunityId": "opp-1", "riskScore": 0.8, "amount": 5}
    id = asked(service, "POST", "/hitl/approvals", facts)["id"]
    commented(service, id, (f"note {number}" for number in range(104)))
    oldest = asked(service, "GET", f"/hitl/approvals/{id}/events?limit=200")["events"][-3:]
    page = signed_in(browser, service, "ada")
    for version, event in enumerate(reversed(oldest), 1):
        page.goto(f"{service.url}{AUDIT}/approval/{id}?at={event['timestamp']}")
        expect(page.locator("#which")).to_contain_text(f"Version {version} of 105")
    page.goto(f"{service.url}{AUDIT}/approval/{id}?at=2001-01-01T00:00:00Z")
    assert page.get_by_text("This approval did not exist then.").is_visible()
    page.get_by_role("link", name="Older").click()
    expect(page.locator(".timeline > li")).to_have_count(5)
    page.get_by_role("link", name="Newer").click()
    expect(page.locator(".timeline > li")).to_have_count(100)
