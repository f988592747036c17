"""One workflow in a real browser, in all its parts: items, children, executions, many events, the picture."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from tests.browser.runs import CONSOLE, asked, begun, caught_up, complete, order, started, state, step_id
from tests.browser.visitor import SECRET, refresh, serious, signed_in
from tests.harness import ServiceProcess, run_command, service_process

CALL = {"kind": "task", "parameters": {"queue": "calls"}}


def test_the_items_of_a_step_are_listed_page_by_page(browser: Browser, service: ServiceProcess) -> None:
    each = {**CALL, "input": {"who": "item"}}
    steps = [
        {"stepType": "calls", "kind": "map", "map": {"over": "input.people", "each": each, "atOnce": 70}}
    ]
    people = [f"person-{number}" for number in range(60)]
    id = begun(service, {"name": "call-all", "version": 1, "steps": steps}, input={"people": people})
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}{CONSOLE}/{id}")
    items = page.locator("#listed summary")
    page.locator("summary").filter(has_text="calls").first.click()
    page.get_by_role("link", name="listed below").click()
    expect(items.first).to_be_visible()
    assert page.locator("#items h2").inner_text().split()[-1] == "60"
    shown = items.all_inner_texts()
    assert len(shown) in (49, 50), "the step itself may be among them"
    expect(page.locator("#events li")).to_have_count(50)
    page.get_by_role("link", name="Older events").click()
    expect(page.locator("#events li").last).to_contain_text("workflow.started")
    page.get_by_text("Items and compensations").click()
    page.get_by_role("link", name="Next items").click()
    assert "events=" in page.url, "each list keeps where the other stands"
    expect(page.locator("#events li").last).to_contain_text("workflow.started")
    rest = items.all_inner_texts()
    names = [each.split()[0] for each in (*shown, *rest)]
    assert sorted(names) == sorted(f"calls[{number}]" for number in range(60))
    last = page.locator("#listed details").last
    last.locator("summary").click()
    expect(last.locator("pre")).to_contain_text("person-")
    refresh(page)
    assert items.all_inner_texts() == rest, "a live page stays where it is"
    last.get_by_label("Reason").fill("nobody at home")
    last.get_by_role("button").click()
    expect(page.locator("#events li").first).to_contain_text("nobody at home")
    assert items.all_inner_texts()[:-1] == rest[:-1], "an order leads back to where it was given"
    assert serious(page) == []
    page.goto(f"{service.url}{CONSOLE}/{id}?steps=x")
    assert "cursor" in page.get_by_role("alert").inner_text()


def test_a_child_and_its_parent_lead_to_each_other(browser: Browser, service: ServiceProcess) -> None:
    call = {"name": "call", "version": 1, "steps": [{"stepType": "call", **CALL}]}
    asked(service, "PUT", "/workflow-definitions/call", call)
    steps = [
        {"stepType": "run", "kind": "workflow", "parameters": {"definition": "call"}},
        {"stepType": "lost", "kind": "workflow", "parameters": {"definition": "no-such"}},
    ]
    id = begun(service, {"name": "parent", "version": 1, "steps": steps})
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}{CONSOLE}/{id}")
    expect(page.locator("svg .step.failed title")).to_have_text("lost: failed")
    page.locator("summary").filter(has_text="lost").click()
    assert page.locator("details[open]").get_by_role("link").count() == 0, "it never began"
    run = page.locator(f"#step-{step_id(service, id, 'run')}")
    run.locator("summary").click()
    run.get_by_role("link").click()
    page.get_by_role("heading", name="call running").wait_for()
    page.locator("#facts").get_by_role("link", name=f"workflow {id}").click()
    page.get_by_role("heading", name="parent running").wait_for()
    expect(run).to_have_attribute("open", "")


def test_the_picture_is_read_out_and_leads_to_each_step(browser: Browser, service: ServiceProcess) -> None:
    steps = [
        {"stepType": "one", **CALL},
        {"stepType": "two", **CALL},
        {"stepType": "both", "after": ["one", "two"], **CALL},
    ]
    id = begun(service, {"name": "drawn", "version": 1, "steps": steps})
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}{CONSOLE}/{id}")
    complete(service, id, "one")
    picture = page.locator("#picture")
    link = picture.get_by_role("link", name="both: pending, after one and two")
    expect(picture.get_by_role("link", name="one: completed", exact=True)).to_be_visible()
    expect(picture.get_by_role("link", name="two: running", exact=True)).to_be_visible()
    card = page.locator(f"#step-{step_id(service, id, 'both')}")
    assert card.get_attribute("open") is None
    link.focus()
    link.press("Enter")
    expect(card).to_have_attribute("open", "")
    assert serious(page) == []


def test_each_execution_says_how_it_ended(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    started(page, service, "opp-many")
    for number in range(3):
        order(page, "Cancel", f"reason {number}")
        state(page, "cancelled")
        order(page, "Retry")
        state(page, "running")
    executions = page.locator("#executions li")
    expect(executions).to_have_count(4)
    expect(executions.first).to_contain_text("running")
    expect(executions.nth(1)).to_contain_text("reason 2")
    expect(executions.last).to_contain_text("0 of 4 steps done")


def test_what_is_archived_is_shown_and_not_retried(browser: Browser, tmp_path: Path) -> None:
    given: dict[str, Any] = {"JWT_SECRET": SECRET, "BATCH_JOBS_ENABLED": "false"}
    with service_process(tmp_path, **given) as service:
        steps = [{"stepType": "call", **CALL}]
        id = begun(service, {"name": "old", "version": 1, "steps": steps}, input={"who": "ann"})
        complete(service, id, "call")
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
        page.goto(f"{service.url}{CONSOLE}/{id}")
        state(page, "completed")
        expect(page.locator("#events li").first).to_contain_text("workflow.completed")
        assert "ann" in page.locator("#facts").inner_text()
        order(page, "Retry", "once more")
        assert "archive" in page.get_by_role("alert").inner_text()
        assert page.locator("#orders").get_by_label("Reason").input_value() == "once more"
