"""What people order of a workflow in a real browser: reasons, retries, what is refused, and who may not."""

import functools
from typing import Any

from playwright.sync_api import Browser, expect
from starlette.requests import Request

from interfaces.rest.cursors import next_cursor
from interfaces.rest.models import Paging
from tests.browser.runs import CONSOLE, asked, begun, complete, fail, order, started, state, step_id
from tests.browser.visitor import SCRIPT, field, refresh, serious, signed_in
from tests.harness import OTHER_TENANT, UNKNOWN_ID, ServiceProcess

Form = dict[str, str | float | bool]


def review(queue: str, **how: Any) -> dict[str, Any]:
    """Two steps, one after the other, and one beside them; workers do them."""
    task = {"kind": "task", "parameters": {"queue": queue}}
    return {
        "name": f"review-{queue}",
        "version": 1,
        "steps": [
            {"stepType": "look", **task},
            {"stepType": "tell", "after": ["look"], **task},
            {"stepType": "wait_for_it", "kind": "task", "parameters": {"queue": f"{queue}-late"}},
        ],
        **how,
    }


def events(service: ServiceProcess, id: str) -> list[tuple[str, str | None]]:
    """What was ordered, the oldest first, and why."""
    told = asked(service, "GET", f"/workflows/{id}/events?limit=200")["events"]
    ordered = ("paused", "resumed", "cancelled", "retried", "step_skipped")
    return [
        (each["type"].partition(".")[2], each["data"].get("reason"))
        for each in reversed(told)
        if each["type"].partition(".")[2] in ordered
    ]


def test_it_is_paused_resumed_cancelled_and_retried_with_reasons(
    browser: Browser, service: ServiceProcess
) -> None:
    page = signed_in(browser, service, "ada")
    id = started(page, service, "opp-5")
    order(page, "Cancel")
    assert page.locator("#orders").get_by_label("Reason").evaluate("field => field.matches(':invalid')")
    order(page, "Pause", "the CRM is being cleaned")
    state(page, "paused")
    assert page.locator("#facts").get_by_text("the CRM is being cleaned").is_visible()
    order(page, "Resume", "it is clean")
    state(page, "running")
    expect(page.locator("#events li").first).to_contain_text("it is clean")
    page.locator("summary").filter(has_text="risk_scoring").click()
    page.locator("details[open]").get_by_label("Reason").fill("no model for it")
    page.get_by_role("button", name="Skip risk_scoring").click()
    expect(page.locator("svg .step.skipped title")).to_have_text("risk_scoring: skipped")
    order(page, "Cancel", "asked by the owner")
    state(page, "cancelled")
    order(page, "Retry", "asked again")
    state(page, "running")
    expect(page.locator("#executions li")).to_have_count(2)
    assert events(service, id) == [
        ("paused", "the CRM is being cleaned"),
        ("resumed", "it is clean"),
        ("step_skipped", "no model for it"),
        ("cancelled", "asked by the owner"),
        ("retried", "asked again"),
    ]
    page.get_by_role("link", name="Full history and past versions").click()
    expect(page.locator(".timeline")).to_contain_text("asked again")
    page.get_by_role("link", name="Current workflow").click()
    state(page, "running")
    order(page, "Pause")
    state(page, "paused")
    order(page, "Resume")
    state(page, "running")
    assert events(service, id)[-2:] == [("paused", ""), ("resumed", None)]


def test_one_step_is_tried_again_and_why(browser: Browser, service: ServiceProcess) -> None:
    id = begun(service, review("single"))
    fail(service, "single")
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}{CONSOLE}/{id}")
    state(page, "running")
    failed = page.locator("summary").filter(has_text="look")
    expect(failed).to_contain_text("no data")
    failed.click()
    page.locator("details[open]").get_by_label("Reason").fill("the data is there")
    page.get_by_role("button", name="Retry look").click()
    expect(page.locator("svg .step.running title").first).to_have_text("look: running")
    expect(page.locator("svg .step").first).to_have_attribute("aria-label", "look: running, attempt 2")
    expect(page.locator("#events")).to_contain_text("the data is there")
    page.locator("summary").filter(has_text="look").click()
    assert page.get_by_role("button", name="Retry look").count() == 0
    assert serious(page) == []


def test_it_is_done_again_from_a_step_with_other_input(browser: Browser, service: ServiceProcess) -> None:
    schema = {
        "type": "object",
        "properties": {"amount": {"type": "number"}, "note": {"type": "string"}, "parts": {"type": "array"}},
        "required": ["amount"],
    }
    given = {"amount": 1, "note": "two\nlines", "parts": [{"q": 1}], "beside": True}
    id = begun(service, review("schema", inputSchema=schema), input=given)
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}{CONSOLE}/{id}")
    complete(service, id, "look")
    order(page, "Cancel", "the amount is wrong")
    state(page, "cancelled")
    order(page, "Retry")
    state(page, "running")
    told = asked(service, "GET", f"/workflows/{id}/events")["events"]
    retried = next(each["data"] for each in told if each["type"] == "workflow.retried")
    assert ("input" in retried, retried["again"]) == (False, ["tell", "wait_for_it"])
    order(page, "Cancel", "still wrong")
    state(page, "cancelled")
    page.get_by_label("Retry from step").select_option("look")
    page.get_by_text("Retry with different input").click()
    page.get_by_role("textbox", name="amount").fill("much")
    order(page, "Retry", "now right")
    assert page.get_by_role("alert").inner_text() == "amount: must be a number"
    assert page.get_by_role("textbox", name="amount").input_value() == "much"
    assert page.get_by_label("Retry from step").input_value() == "look"
    assert page.locator("#orders").get_by_label("Reason").input_value() == "now right"
    assert serious(page) == []
    refresh(page)
    page.get_by_role("textbox", name="amount").fill("2.5")
    order(page, "Retry")
    state(page, "running")
    workflow = asked(service, "GET", f"/workflows/{id}")
    assert workflow["input"] == {**given, "amount": 2.5}, "what was not changed is as it was, to the byte"
    assert [step["status"] for step in workflow["steps"]] == ["running", "pending", "running"]
    assert ("retried", "now right") in events(service, id)


def test_input_without_a_schema_is_json_and_what_is_completed_is_done_again_from_a_step(
    browser: Browser, service: ServiceProcess
) -> None:
    id = begun(service, review("plain"), input={"amount": 1})
    page = signed_in(browser, service, "ada")
    for step_type in ("look", "tell", "wait_for_it"):
        complete(service, id, step_type)
    page.goto(f"{service.url}{CONSOLE}/{id}")
    state(page, "completed")
    page.get_by_label("Retry from step").select_option("tell")
    page.get_by_text("Retry with different input").click()
    page.get_by_role("textbox", name="input").fill('{"amount": 7}')
    order(page, "Retry")
    state(page, "running")
    workflow = asked(service, "GET", f"/workflows/{id}")
    assert workflow["input"] == {"amount": 7}
    assert [step["status"] for step in workflow["steps"]] == ["completed", "running", "completed"]


def test_an_input_that_is_too_large_for_a_form_is_kept_as_it_is(
    browser: Browser, service: ServiceProcess
) -> None:
    page = signed_in(browser, service, "ada")
    for size in (60_000, 400_000):
        id = begun(service, review("large"), input={"text": "é" * size})
        page.goto(f"{service.url}{CONSOLE}/{id}")
        order(page, "Cancel", "off")
        state(page, "cancelled")
        assert page.get_by_text("too large to be changed here").is_visible()
        page.get_by_label("Retry from step").select_option("look")
        order(page, "Retry", "on")
        state(page, "running")
        now = asked(service, "GET", f"/workflows/{id}?asOf=2100-01-01T00:00:00Z")
        assert (now["status"], len(now["input"]["text"])) == ("running", size)


def test_an_order_that_is_refused_keeps_what_was_typed(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    id = started(page, service, "opp-6")
    page.route("**/stream", lambda route: route.abort())
    page.reload()
    forecast = step_id(service, id, "forecast")
    card = page.locator(f"#step-{forecast}")
    card.locator("summary").click()
    card.get_by_label("Reason").fill("nobody asks for it")
    complete(service, id, "forecast")
    page.get_by_role("button", name="Skip forecast").click()
    assert "completed" in page.get_by_role("alert").inner_text()
    page.goto(f"{service.url}{CONSOLE}/{id}")
    asked(service, "POST", f"/workflows/{id}/pause", {"reason": "first"})
    asked(service, "POST", f"/workflows/{id}/cancel", {"reason": "over"})
    order(page, "Pause", "too late")
    assert "cancelled" in page.get_by_role("alert").inner_text()
    reason = page.locator("#orders").get_by_label("Reason")
    assert reason.input_value() == "too late"
    page.evaluate("window.fresh = true")
    refresh(page)
    assert page.evaluate("window.fresh")
    assert reason.input_value() == "too late", "a live page keeps it as well"
    scoring = step_id(service, id, "risk_scoring")
    send = functools.partial(page.request.post, headers={"Origin": service.url}, max_redirects=0)
    forms = (
        ({"do": f"skip {scoring}", "reason": "<b>"}, 409),
        ({"do": "explode"}, 400),
        ({"do": ""}, 400),
        ({"do": "pause " + scoring}, 400),
        ({"do": "skip ../../x"}, 404),
        ({"do": f"skip {UNKNOWN_ID}", "reason": "x"}, 404),
        ({"do": "cancel"}, 400),
    )
    for number, (form, status) in enumerate(forms):
        answer = send(f"{service.url}{CONSOLE}/{id}", form={"key": f"k-{number}", **form})
        assert answer.status == status, form


def test_what_is_being_typed_stays_while_the_page_goes_on(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    id = started(page, service, "opp-typing")
    typed = page.locator(f"#step-{step_id(service, id, 'forecast')}")
    typed.locator("summary").click()
    typed.get_by_label("Reason").fill("half a rea")
    complete(service, id, "risk_scoring")
    other = page.locator(f"#step-{step_id(service, id, 'risk_scoring')} summary")
    expect(other).to_contain_text("completed")
    assert typed.get_by_label("Reason").input_value() == "half a rea"
    typed.get_by_label("Reason").press_sequentially("son")
    page.get_by_role("button", name="Skip forecast").click()
    expect(page.locator("#events q").first).to_have_text("half a reason")


def test_an_order_that_is_given_twice_is_carried_out_once(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    id = started(page, service, "opp-7")
    page.locator("#orders").get_by_label("Reason").fill("once")
    page.get_by_role("button", name="Pause", exact=True).dblclick()
    state(page, "paused")
    assert events(service, id) == [("paused", "once")]
    send = functools.partial(page.request.post, headers={"Origin": service.url}, max_redirects=0)
    address = f"{service.url}{CONSOLE}/{id}"
    order(page, "Cancel", "off")
    state(page, "cancelled")
    form: Form = {"key": field(page.locator("#orders"), "key"), "do": "retry"}
    assert [send(address, form=form).status for _ in range(2)] == [303, 303]
    assert send(address, form={**form, "key": "another"}).status == 409
    assert [what for what, _ in events(service, id)] == ["paused", "cancelled", "retried"]
    page.goto(f"{service.url}{CONSOLE}/start?definition=opportunity-analysis")
    page.get_by_role("textbox", name="Deal").fill("opp-twice")
    page.get_by_role("button", name="Start").dblclick()
    page.get_by_role("heading", name="opportunity-analysis").wait_for()
    assert asked(service, "GET", "/workflows?opportunityId=opp-twice")["total"] == 1


def test_what_people_write_is_text(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    schema = {"type": "object", "properties": {"note": {"type": "string", "description": SCRIPT}}}
    noted = {**review("noted"), "name": "noted", "inputSchema": schema}
    asked(service, "PUT", "/workflow-definitions/noted", noted)
    page.goto(f"{service.url}{CONSOLE}/start?definition=noted")
    page.get_by_role("textbox", name="Deal").fill(SCRIPT)
    page.get_by_role("textbox", name="note").fill(SCRIPT)
    page.get_by_role("button", name="Start").click()
    page.get_by_role("heading", name="noted").wait_for()
    id = page.url.rpartition("/")[2]
    page.locator("summary").filter(has_text="look").click()
    page.locator("details[open]").get_by_label("Reason").fill(SCRIPT)
    page.get_by_role("button", name="Skip look").click()
    expect(page.locator("svg .step.skipped")).to_have_count(1)
    for name in ("Pause", "Resume", "Cancel", "Retry"):
        order(page, name, SCRIPT)
        expect(page.locator("#events q").first).to_have_text(SCRIPT)
    asked(service, "POST", f"/workflows/{id}/cancel", {"reason": SCRIPT})
    page.goto(f"{service.url}{CONSOLE}/{id}")
    page.get_by_text("Retry with different input").click()
    assert page.get_by_role("textbox", name="note").input_value() == SCRIPT
    assert "<script>" in page.locator("#facts pre").first.inner_text()
    send = functools.partial(page.request.post, headers={"Origin": service.url}, max_redirects=0)
    for form in (
        {"do": "resume", "reason": SCRIPT},
        {"do": "retry", "fromStep": SCRIPT},
        {"do": f"retry {SCRIPT}"},
        {"do": "retry", "seen": "{}", "input.note": SCRIPT * 9, "fromStep": "nothing"},
    ):
        answer = send(f"{service.url}{CONSOLE}/{id}", form={"key": "a-key", **form})
        assert answer.status in (400, 404, 409), form
        assert "<script>document" not in answer.text(), form
    page.goto(f"{service.url}{CONSOLE}?opportunityId=%3Cscript%3Ealert(1)%3C/script%3E&status=%22%3E%3Cb%3E")
    page.goto(f"{service.url}{CONSOLE}")
    assert "<script>" in page.locator("main").inner_text()
    page.goto(f"{service.url}/console/audit/workflow/{id}")
    assert "<script>" in page.locator("main").inner_text()
    assert page.title() != "caught"


def cursor_made_by(tenant: str, path: str, place: str) -> str:
    """One that a tenant makes up of a list, as if it were theirs."""
    request = Request({"type": "http", "path": path, "state": {"tenant": tenant}})
    return next_cursor(request, Paging(), [place])


def test_another_tenant_sees_none_of_it_and_orders_nothing(browser: Browser, service: ServiceProcess) -> None:
    page = signed_in(browser, service, "ada")
    id = started(page, service, "opp-mine")
    step = step_id(service, id, "forecast")
    theirs = asked(service, "POST", "/workflows", {"opportunityId": "opp-1"}, OTHER_TENANT)["workflowId"]
    other = signed_in(browser, service, "eve", OTHER_TENANT)
    other.goto(f"{service.url}{CONSOLE}")
    assert "opp-mine" not in other.locator("main").inner_text()
    assert other.locator("tbody tr").count() == 1
    for path, status in (
        ("", 404),
        ("/stream", 404),
        (f"?events={cursor_made_by(OTHER_TENANT, f'/api/v1/workflows/{id}/events', '3')}", 404),
        ("?events=WyIzIl0", 400),  # what is no cursor of this list is told before it is looked for
        ("?steps=x", 404),
        ("?executions=x", 404),
    ):
        answer = other.request.get(f"{service.url}{CONSOLE}/{id}{path}")
        assert (answer.status, "opp-mine" in answer.text()) == (status, False), path
    send = functools.partial(other.request.post, headers={"Origin": service.url}, max_redirects=0)
    orders = ("pause", "resume", "cancel", "retry", f"retry {step}", f"skip {step}")
    for number, what in enumerate(orders):
        form: Form = {"key": f"k-{number}", "do": what, "reason": "mine"}
        assert send(f"{service.url}{CONSOLE}/{id}", form=form).status == 404, what
        if step in what:
            refused = send(f"{service.url}{CONSOLE}/{theirs}", form=form)
            assert (refused.status, "opp-mine" in refused.text()) == (404, False), "a step of another's"
    page.goto(f"{service.url}{CONSOLE}/{id}")
    state(page, "running")
    assert events(service, id) == []
