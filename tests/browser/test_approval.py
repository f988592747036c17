"""The page of one approval in a real browser: who is pending, what happened, and what is done with it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from tests.browser.asking import asked, post
from tests.browser.visitor import SCRIPT, SECRET, client, fits, looks_well, serious, signed_in
from tests.harness import OTHER_TENANT, TENANT, ServiceProcess, service_process

REVIEW = {"name": "review", "approvers": [{"group": "finance", "count": 2}, {"user": "hugo"}]}
POLICY = {"stages": [REVIEW, {"name": "board", "approvers": [{"group": "executives"}]}]}
FINANCE = {"stages": [{"name": "finance", "approvers": [{"group": "finance"}]}]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder: Path = tmp_path_factory.mktemp("approval")
    groups = {"finance": ["ada", "bob", "cleo"], "executives": ["edna", "fritz"]}
    file = folder / "approvals.yaml"
    file.write_text(yaml.safe_dump({"tenants": {TENANT: {"groups": groups}}}))
    given: dict[str, Any] = {"JWT_SECRET": SECRET, "BATCH_JOBS_ENABLED": "false", "APPROVALS_FILE": str(file)}
    with service_process(folder, **given) as running:
        yield running


def opened(browser: Browser, service: ServiceProcess, id: str, person: str) -> Page:
    page = signed_in(browser, service, person)
    page.goto(f"{service.url}/console/approvals/{id}")
    return page


def delegated(service: ServiceProcess, by: str, to: str) -> None:
    with client(service, by) as asking:
        until = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}"
        answer = asking.post("/hitl/delegations", json={"to": to, "endsAt": until})
        assert answer.is_success, answer.text
        there = {"X-Min-Position": answer.headers["x-position"], "Prefer": "wait=10"}
        assert asking.get("/hitl/delegations", headers=there).is_success


def test_each_stage_says_who_has_agreed_and_for_whom_it_waits(
    browser: Browser, service: ServiceProcess
) -> None:
    id = asked(service, "Two stages", policy=POLICY)
    page = opened(browser, service, id, "ada")
    stages = page.locator("#stages li")
    expect(stages.first).to_contain_text("Asks 2 of group finance, hugo")
    expect(stages.first).to_contain_text("3 more agreements needed")
    expect(stages.last).to_contain_text("waiting")
    expect(stages.last).not_to_contain_text("Waiting for")
    post(service, f"/{id}/approve", {"decidedBy": "ada", "comment": "fine"}, "ada")
    post(service, f"/{id}/approve", {"decidedBy": "hugo"}, "hugo")
    page.reload()
    expect(stages.first).to_contain_text("ada: agreed")
    expect(stages.first).to_contain_text(
        "Waiting for group finance; 1 more agreement needed (except ada, hugo, rita)"
    )
    post(service, f"/{id}/approve", {"decidedBy": "bob"}, "bob")
    page.reload()
    expect(stages.first).not_to_contain_text("Waiting for")
    expect(stages.last).to_contain_text("Waiting for group executives; 1 more agreement needed")
    assert fits(page)
    assert serious(page) == []


def test_what_happened_is_told_in_words_and_leads_to_the_trail(
    browser: Browser, service: ServiceProcess
) -> None:
    id = asked(service, "A story", policy=FINANCE)
    post(service, f"/{id}/claim", {}, "ada")
    post(service, f"/{id}/comments", {"text": "wait for the report"}, "cleo")
    post(service, f"/{id}/revise", {"amount": 300000, "reason": "two more seats"})
    post(service, f"/{id}/reassign", {"toGroup": "executives", "reason": "too large"}, "bob")
    post(service, f"/{id}/approve", {"decidedBy": "edna"}, "edna")
    page = opened(browser, service, id, "ada")
    told = [" ".join(each.split("UTC")[-1].split()) for each in page.locator("#history li").all_inner_texts()]
    words = (
        "edna approved it",
        "edna agreed in stage finance",
        "bob reassigned it to group executives instead of bob",
        "rita changed the facts; everybody is asked again",
        "cleo commented",
        "ada claimed it",
        "rita requested it",
    )
    assert len(told) == len(words)
    for each, expected in zip(told, words, strict=True):
        assert expected in each
    expect(page.locator("#history q")).to_have_text(["too large", "two more seats", "wait for the report"])
    page.get_by_role("link", name="Full history and past versions").click()
    expect(page.locator("h1")).to_have_text(f"Approval {id}")


def test_it_is_handed_to_a_group_and_a_refused_form_keeps_what_was_typed(
    browser: Browser, service: ServiceProcess
) -> None:
    id = asked(service, "Handed over", policy=FINANCE)
    page = opened(browser, service, id, "cleo")
    page.get_by_text("Reassign approval").click()
    page.get_by_label("Name of the person or group").fill("rita")
    page.get_by_label("Reason for reassigning").fill('on a "plane"')
    page.get_by_role("button", name="Reassign").click()
    expect(page.get_by_role("alert")).to_contain_text("rita asked for this approval")
    assert page.get_by_label("Name of the person or group").input_value() == "rita"
    assert page.get_by_label("Reason for reassigning").input_value() == 'on a "plane"'
    page.locator("select[name=kind]").select_option("Group")
    page.get_by_label("Name of the person or group").fill("executives")
    assert serious(page) == []
    page.get_by_role("button", name="Reassign").click()
    expect(page.locator("dl")).to_contain_text("group executives")
    expect(page.get_by_text("cleo reassigned it to group executives")).to_be_visible()


def test_a_decision_is_made_on_behalf_of_somebody(browser: Browser, service: ServiceProcess) -> None:
    delegated(service, "fritz", "gina")
    delegated(service, "gina", "ines")
    id = asked(service, "For another")
    page = opened(browser, service, id, "ines")
    assert page.locator("select[name=for] option").all_inner_texts()[1:] == [
        "fritz (away)",
        "gina (away)",
    ]
    page.locator("select[name=for]").select_option("fritz")
    page.get_by_role("button", name="Reject").click()
    page.get_by_label("Comment (required to reject)").fill("no champion")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator("dl")).to_contain_text("ines for fritz")
    bare = opened(browser, service, asked(service, "Alone"), "ada")
    assert bare.locator("select[name=for]").count() == 0
    form: dict[str, str | float | bool] = {"do": "approve", "for": "fritz", "key": "k"}
    answer = bare.request.post(bare.url, headers={"Origin": service.url}, form=form)
    assert (answer.status, "ada has no active delegation to decide for fritz" in answer.text()) == (403, True)


def test_who_asked_changes_the_facts_and_only_those_that_are_different(
    browser: Browser, service: ServiceProcess
) -> None:
    id = asked(service, "Revised")
    page = opened(browser, service, id, "rita")
    page.get_by_text("Change facts").click()
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("alert")).to_have_text("No fact was changed.")
    page.get_by_label("Payload").fill("{")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("alert")).to_have_text("payload: must be JSON")
    assert page.get_by_label("Payload").input_value() == "{"
    page.get_by_label("Payload").fill('{"discount": 0.3}')
    page.get_by_label("Reason for the change (optional)").fill("they asked for more")
    post(service, f"/{id}/revise", {"amount": 99})
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator("ins").last).to_contain_text("0.3")
    with client(service, "rita") as asking:
        found = asking.get(f"/hitl/approvals/{id}").json()
    assert (found["amount"], found["payload"], found["subject"]) == (99, {"discount": 0.3}, "Revised")


def test_who_asked_withdraws_and_nobody_else_is_offered_to(browser: Browser, service: ServiceProcess) -> None:
    id = asked(service, "Withdrawn")
    other = opened(browser, service, id, "ada")
    assert other.get_by_text("Withdraw approval").count() == 0
    assert other.get_by_text("Change facts").count() == 0
    form: dict[str, str | float | bool] = {"do": "withdraw", "reason": "mine", "key": "k"}
    assert other.request.post(other.url, headers={"Origin": service.url}, form=form).status == 403
    page = opened(browser, service, id, "rita")
    page.get_by_text("Withdraw approval").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Withdraw").click()
    assert page.get_by_label("Reason for withdrawing").evaluate("field => field.matches(':invalid')")
    page.get_by_label("Reason for withdrawing").fill("the deal is off")
    page.get_by_role("button", name="Withdraw").dblclick()
    expect(page.locator("h1 .badge")).to_have_text("withdrawn")
    expect(page.locator("dl")).to_contain_text("the deal is off")
    expect(page.get_by_text("rita withdrew it")).to_have_count(1)


def test_enter_in_a_reason_decides_nothing_and_a_reason_that_came_too_late_is_kept(
    browser: Browser, service: ServiceProcess
) -> None:
    id = asked(service, "A reason")
    page = opened(browser, service, id, "ada")
    page.get_by_label("Comment (required to reject)").fill("too cheap")
    page.get_by_label("Comment (required to reject)").press("Enter")
    page.wait_for_timeout(300)
    expect(page.locator("h1 .badge")).to_have_text("pending")
    post(service, f"/{id}/approve", {"decidedBy": "bob"}, "bob")
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("alert")).to_contain_text("this approval was approved by bob")
    assert page.get_by_label("Comment").input_value() == "too cheap"


def test_it_fits_in_light_and_dark_and_what_people_write_is_text(
    browser: Browser, service: ServiceProcess
) -> None:
    long = "a-word-without-a-space-" * 9
    id = asked(service, f"{SCRIPT}{long}"[:200], SCRIPT + long, policy=POLICY, ownerId=f"owner {SCRIPT}")
    post(service, f"/{id}/comments", {"text": SCRIPT + long}, "ada")
    post(service, f"/{id}/approve", {"decidedBy": "ada", "comment": SCRIPT + long}, "ada")
    post(service, f"/{id}/reassign", {"to": SCRIPT, "reason": SCRIPT + long}, "bob")
    post(service, f"/{id}/revise", {"subject": SCRIPT, "reason": SCRIPT + long})
    page = opened(browser, service, id, "rita")
    for each in page.locator("summary").all():
        each.click()
    assert page.locator("main").inner_text().count("onerror=") > 8
    assert page.title() != "caught"
    looks_well(page)
    other = signed_in(browser, service, "eve", OTHER_TENANT)
    answer = other.request.get(f"{service.url}/console/approvals/{id}")
    assert (answer.status, "onerror" in answer.text()) == (404, False)
