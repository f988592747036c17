"""The list of workflows in a real browser: filters, a search, pages back and forth, many definitions."""

from datetime import datetime

from playwright.sync_api import Browser, Locator, Page, expect

from domain.values import derived_id
from tests.browser.visitor import SCRIPT, client, looks_well, serious, signed_in
from tests.harness import OTHER_TENANT, ServiceProcess

ALL = "/console/workflows"
CORRELATION = "2f6d2c3e-8f0b-4a53-9c55-5b1c6d0d7e42"


def started(service: ServiceProcess, deal: str, correlation: str | None = None, tenant: str = "") -> str:
    headers = {"X-Correlation-ID": correlation} if correlation else {}
    with client(service, "rita", *([tenant] if tenant else [])) as asking:
        answer = asking.post("/workflows", json={"opportunityId": deal}, headers=headers)
        assert answer.is_success, answer.text
        there = {"X-Min-Position": answer.headers["x-position"], "Prefer": "wait=10"}
        assert asking.get("/audit/head", headers=there).is_success
        assert asking.get("/workflows", headers=there).is_success
        return str(answer.json()["workflowId"])


def deals(page: Page) -> list[str]:
    return page.locator("tbody td:nth-child(2)").all_inner_texts()


def first_deal(page: Page) -> Locator:
    """For whoever has followed a link: the next page may not be there yet."""
    return page.locator("tbody td:nth-child(2)").first


def is_at(field: Locator, moment: str) -> bool:
    """A browser leaves out noughts at the end."""
    return datetime.fromisoformat(f"{field.input_value()}Z") == datetime.fromisoformat(moment)


def sought(page: Page, service: ServiceProcess, text: str) -> None:
    page.goto(f"{service.url}{ALL}")
    page.get_by_role("search").get_by_role("textbox").fill(text)
    page.get_by_role("button", name="Search").click()


def test_pages_lead_on_and_back_and_keep_the_filters(browser: Browser, service: ServiceProcess) -> None:
    with client(service, "rita") as asking:
        for number in range(101):
            asking.post("/workflows", json={"opportunityId": f"opp-{number}"}).raise_for_status()
    started(service, "opp-101")
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}{ALL}?status=running&definition=opportunity-analysis")
    expect(page.locator("h1 .badge")).to_have_text("102")
    assert (deals(page)[0], deals(page)[-1], len(deals(page))) == ("opp-101", "opp-52", 50)
    assert page.get_by_role("link", name="Newer").count() == 0
    page.get_by_role("link", name="Older").click()
    expect(first_deal(page)).to_have_text("opp-51")
    assert deals(page)[-1] == "opp-2"
    page.get_by_role("link", name="Older").click()
    expect(first_deal(page)).to_have_text("opp-1")
    assert deals(page) == ["opp-1", "opp-0"]
    assert page.get_by_role("link", name="Older").count() == 0
    assert page.get_by_label("Status").input_value() == "running"
    page.get_by_role("link", name="Newer").click()
    expect(first_deal(page)).to_have_text("opp-51")
    assert deals(page)[-1] == "opp-2"
    page.get_by_role("link", name="Newer").click()
    expect(first_deal(page)).to_have_text("opp-101")
    page.get_by_role("link", name="Older").click()
    page.get_by_role("link", name="Newest").click()
    expect(first_deal(page)).to_have_text("opp-101")
    assert page.url.endswith("?status=running&definition=opportunity-analysis")


def test_it_is_filtered_by_when_they_were_asked_for(browser: Browser, service: ServiceProcess) -> None:
    started(service, "opp-when")
    with client(service, "ada") as asking:
        created = asking.get("/workflows", params={"opportunityId": "opp-when"}).json()["workflows"][0][
            "createdAt"
        ]
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}{ALL}?opportunityId=opp-when")
    after, before = page.get_by_label("Created after (UTC)"), page.get_by_label("Created before (UTC)")
    before.fill(created.removesuffix("Z"))
    page.get_by_role("button", name="Apply filters").click()
    assert page.get_by_text("No workflows match.").is_visible()
    assert is_at(before, created)
    before.fill("")
    after.fill(created.removesuffix("Z"))
    page.get_by_role("button", name="Apply filters").click()
    assert deals(page) == ["opp-when"]
    assert "createdAfter=" in page.url
    page.get_by_label("Status").select_option("running")
    page.get_by_role("button", name="Apply filters").click()
    assert deals(page) == ["opp-when"]
    assert is_at(after, created), "the next filter keeps the one before"
    for nonsense in ("createdAfter=yesterday", "status=done", "cursor=%3Cb%3E", "cursor=.", "cursor=a.b"):
        answer = page.goto(f"{service.url}{ALL}?{nonsense}")
        assert answer is not None
        assert answer.status == 400, nonsense
        assert page.get_by_role("alert").inner_text(), nonsense
    page.goto(f"{service.url}{ALL}?createdAfter=yesterday")
    assert after.input_value() == "yesterday"
    assert "createdAfter" in page.get_by_role("alert").inner_text()
    assert serious(page) == []


def test_what_is_looked_for_is_found_by_any_of_its_names(browser: Browser, service: ServiceProcess) -> None:
    id = started(service, "opp-sought", CORRELATION)
    page = signed_in(browser, service, "ada")
    for text in (id, id.upper(), CORRELATION):
        sought(page, service, text)
        expect(page).to_have_url(f"{service.url}{ALL}/{id}")
    sought(page, service, "opp-sought")
    assert deals(page) == ["opp-sought"]
    sought(page, service, "opportunity-analysis")
    assert page.get_by_label("Definition", exact=True).input_value() == "opportunity-analysis"
    started(service, "opp-sought-too", CORRELATION)
    sought(page, service, CORRELATION)
    page.get_by_role("heading", name="Cause and effect").wait_for()
    for nothing in ("no-such-thing", SCRIPT, "x" * 300, ".."):
        sought(page, service, nothing)
        assert nothing in page.get_by_role("alert").inner_text()
        assert page.get_by_role("search").get_by_role("textbox").input_value() == nothing
    assert page.title() != "caught"
    assert serious(page) == []
    other = signed_in(browser, service, "eve", OTHER_TENANT)
    for text in (id, "opp-sought", CORRELATION):
        sought(other, service, text)
        assert text in other.get_by_role("alert").inner_text(), text


def test_each_of_very_many_definitions_can_be_started(browser: Browser, service: ServiceProcess) -> None:
    with client(service, "rita", OTHER_TENANT) as asking:
        for number in range(205):
            steps = [{"stepType": "rest", "kind": "wait", "parameters": {"seconds": 1}}]
            body = {"name": f"plan-{number}", "version": 1, "steps": steps}
            answer = asking.post("/workflow-definitions", json=body)
            assert answer.is_success, answer.text
        asking.delete("/workflow-definitions/plan-1")
        there = {"X-Min-Position": answer.headers["x-position"], "Prefer": "wait=10"}
        assert asking.get("/workflow-definitions", headers=there).is_success
    page = signed_in(browser, service, "eve", OTHER_TENANT)
    page.goto(f"{service.url}{ALL}/start")
    page.get_by_label("Definition").select_option("plan-0")
    page.get_by_role("button", name="Choose").click()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("h1")).to_contain_text("plan-0")
    page.goto(f"{service.url}{ALL}")
    assert page.locator("#definitions option[value=plan-0]").count() == 1
    assert page.locator("#definitions option[value=plan-1]").count() == 0
    ada = signed_in(browser, service, "ada")
    for name in ("plan-0", "..", "a%2Fb", "opportunity-analysis%2Fgraph"):
        assert ada.request.get(f"{service.url}{ALL}/start?definition={name}").status == 404, name
    retired = page.request.get(f"{service.url}{ALL}/start?definition=plan-1")
    assert retired.status == 404


def test_it_fits_in_light_and_dark(browser: Browser, service: ServiceProcess) -> None:
    started(service, f"opp-{derived_id('a', 'b')}-with-a-name-that-is-rather-long")
    page = signed_in(browser, service, "ada")
    page.goto(f"{service.url}{ALL}?status=running")
    looks_well(page)
