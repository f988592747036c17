"""The audit trail in a real browser: all of it, one thing through time, cause and effect, the export."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from domain.values import SYSTEM_TENANT
from infrastructure.signatures import new_key
from tests.browser.asking import commented
from tests.browser.runs import caught_up
from tests.browser.visitor import SCRIPT, SECRET, client, looks_well, picture, serious, signed_in
from tests.contract.contract import validate_document
from tests.harness import OTHER_TENANT, TENANT, UNKNOWN_ID, ServiceProcess, run_command, service_process

FACTS = {"opportunityId": "opp-417", "riskScore": 0.87, "amount": 250000}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder: Path = tmp_path_factory.mktemp("audit")
    given: dict[str, Any] = {
        "JWT_SECRET": SECRET,
        "BATCH_JOBS_ENABLED": "false",
        "AUDIT_SIGNING_KEY": new_key()[0].decode(),
        "AUDIT_ANCHOR_EVERY_SECONDS": "1",
    }
    with service_process(folder, **given) as running:
        yield running


def post(
    service: ServiceProcess, path: str, body: dict[str, Any], person: str = "rita", tenant: str = TENANT
) -> Any:
    """A command over REST, and the trail has what came of it."""
    with client(service, person, tenant) as asking:
        answer = asking.post(path, json=body)
        assert answer.is_success, answer.text
        there = {"X-Min-Position": answer.headers["x-position"], "Prefer": "wait=10"}
        assert asking.get("/audit/head", headers=there).is_success
        return answer.json()


def rejected(service: ServiceProcess, comment: str = "too risky", subject: str = "Acme") -> str:
    """An approval with three events."""
    id = str(post(service, "/hitl/approvals", {**FACTS, "subject": subject})["id"])
    post(service, f"/hitl/approvals/{id}/comments", {"text": comment}, "ada")
    post(service, f"/hitl/approvals/{id}/reject", {"decidedBy": "bob", "comment": comment}, "bob")
    return id


def trail(page: Page, service: ServiceProcess, query: str = "") -> None:
    page.goto(f"{service.url}/console/audit{query}")


def test_the_trail_is_filtered_by_its_address(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    page.get_by_role("link", name="Audit").click()
    assert page.get_by_text("No events yet.").is_visible()
    id = rejected(service)
    rejected(service)
    page.get_by_label("Event type").fill("approval.rejected")
    page.get_by_label("Object ID").fill(id)
    page.get_by_role("button", name="Apply filters").click()
    expect(page.locator(".timeline > li")).to_have_count(1)
    assert page.get_by_text("too risky").first.is_visible()
    assert f"aggregateId={id}" in page.url
    assert page.get_by_text("All events on this page match what was chained.").is_visible()
    assert serious(page) == []
    page.get_by_label("Actor").fill("nobody")
    page.get_by_role("button", name="Apply filters").click()
    assert page.get_by_text("No events match.").is_visible()
    trail(page, service, "?before=2001-01-01T00:00:00Z")
    assert page.get_by_text("No events match.").is_visible()
    page.get_by_role("link", name="Last hour").click()
    page.get_by_label("Before (UTC)").fill("")
    page.get_by_role("button", name="Apply filters").click()
    expect(page.locator("h1 .badge")).to_have_text("6")
    assert page.get_by_label("After (UTC)").input_value()
    page.get_by_text("Event data").last.click()
    expect(page.locator("details[open] pre")).to_contain_text("250000")
    picture(page, "audit")
    trail(page, service, "?after=yesterday")
    assert page.get_by_role("alert").inner_text().count("after") == 1
    assert page.get_by_label("After (UTC)").input_value() == "yesterday"


def test_it_goes_on_page_by_page(browser: Browser, service: ServiceProcess) -> None:
    id = post(service, "/hitl/approvals", FACTS)["id"]
    commented(service, id, (f"note {number}" for number in range(51)))
    page = signed_in(browser, service, "ada")
    trail(page, service, f"?aggregateId={id}")
    items = page.locator(".timeline > li")
    expect(items).to_have_count(50)
    expect(items.first).to_contain_text("note 50")
    page.get_by_role("link", name="Older").click()
    expect(items).to_have_count(2)
    expect(items.last).to_contain_text("approval.requested")
    page.get_by_role("link", name="Newer").click()
    expect(items.first).to_contain_text("note 50")
    page.get_by_label("Order").select_option("Oldest first")
    page.get_by_role("button", name="Apply filters").click()
    expect(items.first).to_contain_text("approval.requested")
    page.get_by_role("link", name="Newer").click()
    expect(items).to_have_count(2)
    expect(items.last).to_contain_text("note 50")
    assert page.get_by_label("Order").input_value() == "asc"
    page.get_by_role("link", name="Oldest").click()
    expect(items).to_have_count(50)
    expect(items.first).to_contain_text("approval.requested")
    trail(page, service, "?order=odd")
    assert "order" in page.get_by_role("alert").inner_text()


def test_a_thing_is_seen_as_it_was_in_any_version(browser: Browser, service: ServiceProcess) -> None:
    id = rejected(service, "no budget")
    page = signed_in(browser, service, "ada")
    trail(page, service, f"?aggregateId={id}")
    page.get_by_role("link", name=f"approval {id}").last.click()
    expect(page.locator("#which")).to_contain_text("Version 1 of 3: approval.requested")
    assert '"status": "pending"' in page.locator("#then").inner_text()
    slider = page.get_by_label("As of version")
    page.evaluate("window.sameOne = true")
    slider.press("End")
    expect(page.locator("#which")).to_contain_text("Version 3 of 3: approval.rejected")
    expect(page.locator("#then ins").first).to_contain_text("rejected")
    assert slider.evaluate("slider => slider === document.activeElement")
    slider.press("ArrowLeft")
    expect(page.locator("#which")).to_contain_text("Version 2 of 3")
    assert page.url.endswith("?version=2")
    assert page.locator("li[aria-current]").get_by_text("approval.commented").is_visible()
    assert page.evaluate("window.sameOne"), "the page was not loaded again"
    assert serious(page) == []
    picture(page, "past")
    page.get_by_role("link", name="version 1", exact=True).click()
    assert page.locator("li[aria-current]").get_by_text("approval.requested").is_visible()
    page.get_by_role("link", name="Current approval").click()
    page.get_by_role("heading", name="Acme").wait_for()


def test_a_version_that_cannot_be_had_is_not_passed_off_as_another(
    browser: Browser, service: ServiceProcess
) -> None:
    id = rejected(service)
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}/console/audit/approval/{id}")
    cookies, slider = page.context.cookies(), page.get_by_label("As of version")
    page.context.clear_cookies()
    slider.press("Home")
    page.get_by_text("That version could not be loaded").wait_for()
    expect(page.locator("#which")).to_contain_text("Version 3 of 3")
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.get_by_role("link", name="Try again").click()
    expect(page.locator("#which")).to_contain_text("Version 1 of 3")


def test_a_thing_is_seen_as_it_was_at_any_moment(browser: Browser, service: ServiceProcess) -> None:
    id = rejected(service)
    with client(service, "ada") as asking:
        newest, _, oldest = asking.get(f"/hitl/approvals/{id}/events").json()["events"]
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}/console/audit/approval/{id}")
    moment = page.get_by_label("As of (UTC)")
    for at, told in ((oldest, "Version 1 of 3"), (newest, "Version 3 of 3")):
        moment.fill(at["timestamp"].removesuffix("Z"))
        moment.locator("xpath=ancestor::form").get_by_role("button").click()
        expect(page.locator("#which")).to_contain_text(told)
    page.goto(f"{page.url.partition('?')[0]}?at=2001-01-01T00:00:00Z")
    assert page.get_by_text("This approval did not exist then.").is_visible()
    for nonsense in ("at=yesterday", "at=5", "version=x", "version=9999999999", "cursor=%3Cb%3E"):
        answer = page.request.get(f"{service.url}/console/audit/approval/{id}?{nonsense}")
        assert answer.status == 400, nonsense


def test_what_is_archived_tells_what_is_left_of_it(browser: Browser, tmp_path: Path) -> None:
    given: dict[str, Any] = {"JWT_SECRET": SECRET, "BATCH_JOBS_ENABLED": "false"}
    with service_process(tmp_path, **given) as service:
        id = rejected(service)
        caught_up(service)
        service.terminate()
        told = run_command(
            *("archive", "--out", str(tmp_path / "archives"), "--older-than", "0s", "--reason", "it is over"),
            **given,
            DATA_DIR=str(service.data_dir),
        )
        assert told.returncode == 0, told.stderr
        assert "left out" not in told.stdout, told.stdout
        service.start()
        page = signed_in(browser, service, "ada")
        page.goto(f"{service.url}/console/audit/approval/{id}")
        expect(page.locator(".timeline > li")).to_have_count(3)
        assert page.locator(".timeline .badge").first.inner_text().endswith(".ndjson.gz")
        assert '"status": "rejected"' in page.locator("#then").inner_text()
        page.get_by_role("link", name="version 1", exact=True).click()
        assert "archive" in page.locator("#then .notice").inner_text()


def test_the_slider_is_a_form_where_no_script_runs(browser: Browser, service: ServiceProcess) -> None:
    id = rejected(service)
    signed = signed_in(browser, service, "ada")
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies(signed.context.cookies())  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{service.url}/console/audit/approval/{id}")
    page.get_by_label("As of version").press("Home")
    page.get_by_role("button", name="Show version").click()
    expect(page.locator("#which")).to_contain_text("Version 1 of 3")


def test_a_job_and_a_workflow_have_their_past_too(browser: Browser, service: ServiceProcess) -> None:
    post(service, "/jobs/propagation/pause", {"reason": "the models"}, "olga", SYSTEM_TENANT)
    page = signed_in(browser, service, "olga", SYSTEM_TENANT)
    page.goto(f"{service.url}/console/audit/job/propagation")
    expect(page.locator("#which")).to_contain_text("Version 1 of 1: job.paused")
    page.goto(f"{service.url}/console/audit/job/outcome-sync")
    assert page.get_by_text("No events yet.").is_visible()
    begun = post(service, "/workflows", {"opportunityId": "opp-9", "definition": "opportunity-analysis"})
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}/console/audit/workflow/{begun['workflowId']}?version=1")
    expect(page.locator("#which")).to_contain_text("Version 1 of")


def effects_shown(page: Page) -> None:
    """Look again until what policies have made of the first events is there too."""
    for _ in range(100):
        if page.locator(".tree ul li").count():
            return
        page.wait_for_timeout(100)
        page.reload()


def test_cause_and_effect_are_a_tree(browser: Browser, service: ServiceProcess) -> None:
    begun = post(
        service, "/workflows", {"opportunityId": "opp-8", "definition": "deal-review", "input": {"amount": 9}}
    )
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}/console/audit/workflow/{begun['workflowId']}")
    page.get_by_role("link", name="Cause and effect").first.click()
    effects_shown(page)
    assert page.locator(".tree > li").count() >= 1
    expect(page.locator(".tree ul li").first).to_contain_text("workflow.")
    assert serious(page) == []
    for unknown in ("nothing", "..", "a%2Fb", ""):
        answer = page.request.get(f"{service.url}/console/audit/causes?correlationId={unknown}")
        assert answer.status == 404, unknown


def test_the_export_is_the_apis_and_proves_itself(
    browser: Browser, service: ServiceProcess, tmp_path: Path
) -> None:
    id = rejected(service)
    page = signed_in(browser, service, "ada")
    trail(page, service, f"?aggregateId={id}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    assert download.value.suggested_filename == "audit-trail.ndjson"
    file = tmp_path / "export.ndjson"
    download.value.save_as(file)
    lines = [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
    assert (lines[0]["kind"], lines[-1]["kind"]) == ("header", "head")
    assert [line["event"]["type"] for line in lines if line["kind"] == "event"] == [
        "approval.requested",
        "approval.commented",
        "approval.rejected",
    ]


def test_the_chain_tells_its_anchor(browser: Browser, service: ServiceProcess) -> None:
    rejected(service)
    page = signed_in(browser, service, "ada")
    for _ in range(50):
        trail(page, service)
        if page.get_by_text("Signed by").count():
            break
        page.wait_for_timeout(200)
    assert page.locator("dl").get_by_text("sha256:").is_visible()


def test_the_chain_is_verified_and_who_changes_the_store_is_found_out(
    browser: Browser, tmp_path: Path
) -> None:
    with service_process(tmp_path, JWT_SECRET=SECRET, BATCH_JOBS_ENABLED="false") as service:
        page = signed_in(browser, service, "ada")
        page.goto(f"{service.url}/console/audit/chain")
        assert page.get_by_text("There are no events to verify.").is_visible()
        id = rejected(service)
        trail(page, service)
        page.get_by_role("link", name="Verify chain").click()
        expect(page.get_by_role("status")).to_contain_text(
            "Events 1 to 3 are in the log as they were chained"
        )
        assert page.get_by_text("Not anchored").is_visible()
        with closing(sqlite3.connect(service.data_dir / "events.db")) as log, log:
            log.execute("UPDATE stored_events SET state = replace(state, 'bob', 'eve') WHERE rowid = 3")
        page.reload()
        expect(page.locator("h1 .badge")).to_have_text("broken")
        expect(page.locator(".timeline")).to_contain_text("Event 3 differs from what was chained")
        assert serious(page) == []
        trail(page, service, f"?aggregateId={id}")
        expect(page.get_by_text("differs from the chain", exact=True)).to_have_count(1)
        assert page.get_by_text("Events on this page that differ from what was chained: 1.").is_visible()
        other = signed_in(browser, service, "eve", OTHER_TENANT)
        other.goto(f"{service.url}/console/audit/chain")
        assert other.get_by_text("There are no events to verify.").is_visible()
        assert page.request.get(f"{service.url}/console/audit/chain?cursor=%3Cb%3E").status == 400
        with client(service, "ada") as asking:
            validate_document("AuditVerification", asking.get("/audit/verification").json())


def test_what_people_write_is_text_and_another_tenant_sees_none_of_it(
    browser: Browser, service: ServiceProcess
) -> None:
    id = rejected(service, SCRIPT, SCRIPT)
    with client(service, "ada") as asking:
        event = asking.get(f"/hitl/approvals/{id}/events").json()["events"][0]
    page = signed_in(browser, service, "ada")
    causes = f"/causes?correlationId={event['correlationId']}"
    for path in (f"?aggregateId={id}", f"/approval/{id}", causes):
        trail(page, service, path)
        assert "<script>" in page.locator("main").inner_text(), path
    query = "&".join(f"{name}=%22%3E%3Cscript%3E" for name in ("type", "actor", "after", "at", "cursor"))
    trail(page, service, f"?{query}")
    assert page.title() != "caught"
    other = signed_in(browser, service, "eve", OTHER_TENANT)
    for path in (f"/approval/{id}", f"/approval/{id}?version=1", causes, f"/job/{id}", f"/nothing/{id}"):
        answer = other.request.get(f"{service.url}/console/audit{path}")
        assert (answer.status, "opp-417" in answer.text()) == (
            403 if path.startswith("/job") else 404,
            False,
        ), path
    for path in (f"?aggregateId={id}", f"/export?aggregateId={id}"):
        answer = other.request.get(f"{service.url}/console/audit{path}")
        assert (answer.status, "opp-417" in answer.text()) == (200, False), path
    assert other.request.get(f"{service.url}/console/audit/approval/{UNKNOWN_ID}").status == 404


def test_it_fits_in_light_and_dark(browser: Browser, service: ServiceProcess) -> None:
    id = rejected(service, "a-comment-without-a-space-" * 20)
    page = signed_in(browser, service, "ada")
    for path in ("", f"?aggregateId={id}", f"/approval/{id}"):
        trail(page, service, path)
        looks_well(page)
