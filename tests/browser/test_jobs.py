"""The batch jobs in a real browser: with a broker, and the simulated worker behind it."""

import functools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from tests.browser.broker import forgotten
from tests.browser.visitor import SCRIPT, SECRET, client, fits, looks_well, picture, serious, signed_in
from tests.harness import SYSTEM_TENANT, TENANT, UNKNOWN_ID, ServiceProcess, service_process, start_command
from tests.neighbours import Names

pytestmark = pytest.mark.rabbitmq

JOB = "risk-snapshot-backfill"
WITHOUT_SCHEMA = "propagation"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, rabbitmq_url: str) -> Iterator[ServiceProcess]:
    """A service and, in a process of its own, whoever runs its jobs."""
    folder: Path = tmp_path_factory.mktemp("jobs")
    names = Names.fresh()
    settings = folder / "neighbours.yaml"
    settings.write_text(yaml.safe_dump(names.overlay()))
    given = {"RABBITMQ_URL": rabbitmq_url, "JWT_SECRET": SECRET}
    with forgotten(rabbitmq_url, names), service_process(folder, overlay=names.overlay(), **given) as running:
        worker = start_command("neighbours", "--config", str(settings), **given, DATA_DIR=str(folder / "n"))
        try:
            yield running
        finally:
            worker.terminate()
            worker.communicate()


@pytest.fixture
def page(browser: Browser, service: ServiceProcess) -> Page:
    page = signed_in(browser, service, "ada", SYSTEM_TENANT)
    page.goto(f"{service.url}/console/jobs/{JOB}")
    return page


def test_every_job_is_there_with_its_schedule_in_words(page: Page) -> None:
    page.get_by_label("Console").get_by_role("link", name="Jobs").click()
    section = page.locator("section").filter(has_text="model-monitoring")
    assert "At 06:00, only on Sunday" in section.inner_text()
    assert section.locator("svg circle.coming").count() == 2
    assert serious(page) == []
    picture(page, "jobs")
    page.get_by_role("link", name=JOB).click()
    page.get_by_role("heading", name=JOB).wait_for()


def test_a_run_is_triggered_and_what_came_of_it_is_plotted(page: Page) -> None:
    expect(page.locator("#history")).to_contain_text("No runs yet")
    page.get_by_label("from (optional)").fill("2026-01-01")
    page.get_by_label("to (optional)").fill("2026-01-31")
    page.get_by_role("button", name="Trigger run").click()
    expect(page.locator("#history .badge")).to_have_text("completed")
    expect(page.locator("#history rect.bar.completed")).to_have_count(1)
    expect(page.locator("#history")).to_contain_text('"from": "2026-01-01"')
    assert serious(page) == []
    page.locator("#history tbody a").click()
    expect(page.locator("h1")).to_have_text(f"Run of {JOB} completed")
    expect(page.locator("#times")).to_contain_text("Accepted by the broker")
    assert page.get_by_text("manual: ada").is_visible()
    assert fits(page)
    assert serious(page) == []


def test_bad_metadata_is_refused_by_the_name_of_its_field(page: Page) -> None:
    page.get_by_label("from (optional)").fill("tomorrow")
    page.get_by_role("button", name="Trigger run").click()
    assert "from" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("from (optional)").input_value() == "tomorrow"


def test_a_job_without_a_schema_takes_any_object(page: Page, service: ServiceProcess) -> None:
    page.goto(f"{service.url}/console/jobs/{WITHOUT_SCHEMA}")
    page.get_by_label("metadata").fill("{nonsense")
    page.get_by_role("button", name="Trigger run").click()
    assert page.get_by_role("alert").inner_text() == "metadata: must be JSON"
    page.get_by_label("metadata").fill(msgspec.json.encode({"depth": 3, "note": SCRIPT}).decode())
    page.get_by_role("button", name="Trigger run").click()
    expect(page.locator("#history")).to_contain_text('"depth": 3')
    page.locator("#history tbody a").click()
    assert "<script>" in page.locator("pre").inner_text()
    assert page.title() != "caught"


def test_it_is_paused_and_resumed_with_a_reason(page: Page) -> None:
    page.get_by_role("button", name="Pause job").click()
    assert page.locator("#orders").get_by_label("Reason").evaluate("field => field.matches(':invalid')")
    page.locator("#orders").get_by_label("Reason").fill(SCRIPT)
    page.get_by_role("button", name="Pause job").click()
    expect(page.locator("h1")).to_contain_text("paused")
    assert SCRIPT in page.locator("#orders").inner_text()
    assert page.title() != "caught"
    page.get_by_role("button", name="Resume job").click()
    expect(page.locator("h1")).not_to_contain_text("paused")


def test_a_backfill_is_tried_out_then_run_to_its_end_as_one_looks_on(page: Page) -> None:
    page.get_by_label("From", exact=True).fill("2026-01-01")
    page.get_by_label("To (not included)").fill("2026-01-04")
    page.get_by_role("button", name="Preview runs").click()
    expect(page.get_by_role("heading", name="This would start 3 runs")).to_be_in_viewport()
    assert page.get_by_text("2026-01-03 to 2026-01-04").is_visible()
    expect(page.locator("#backfills")).to_contain_text("No backfills yet")
    page.get_by_role("button", name="Start backfill").click()
    expect(page.locator("#backfills")).to_contain_text("3 of 3 windows completed")
    expect(page.locator("#backfills .badge")).to_have_text("completed")
    picture(page, "job")
    assert serious(page) == []


def test_a_backfill_is_cancelled_with_a_reason(page: Page) -> None:
    page.get_by_label("From", exact=True).fill("2025-01-01")
    page.get_by_label("To (not included)").fill("2026-01-01")
    page.get_by_role("button", name="Start backfill").click()
    details = page.locator("#backfills details").first
    details.get_by_label("Reason").fill("the wrong years")
    details.get_by_role("button", name="Cancel backfill").click()
    expect(details).to_contain_text("cancelled by ada: the wrong years")


def test_all_runs_are_reached_page_by_page_and_by_status(page: Page, service: ServiceProcess) -> None:
    with client(service, "ada", SYSTEM_TENANT) as asking:
        for n in range(55):
            answer = asking.post(f"/jobs/{WITHOUT_SCHEMA}/trigger", json={"metadata": {"n": n}})
        seen = {"X-Min-Position": answer.headers["X-Position"]}
        total = asking.get(f"/jobs/{WITHOUT_SCHEMA}/runs", headers=seen).json()["total"]
    assert total >= 55
    page.goto(f"{service.url}/console/jobs/{WITHOUT_SCHEMA}")
    page.get_by_role("link", name="All runs").click()
    expect(page.locator("#main")).to_contain_text(f"{total} in total")
    expect(page.locator("tbody tr")).to_have_count(50)
    assert serious(page) == []
    page.get_by_role("link", name="Older runs").click()
    expect(page.locator("tbody tr")).to_have_count(min(50, total - 50))
    assert fits(page)
    page.get_by_label("Status").select_option("skipped")
    page.get_by_role("button", name="Apply filter").click()
    expect(page.locator("#main")).to_contain_text("No runs with this status.")
    for query in ("status=none", "cursor=x"):
        address = f"{service.url}/console/jobs/{WITHOUT_SCHEMA}/runs?{query}"
        assert page.request.get(address).status == 400, query


def test_nonsense_is_refused_and_so_is_another_tenant(
    browser: Browser, service: ServiceProcess, page: Page
) -> None:
    send = functools.partial(page.request.post, headers={"Origin": service.url}, max_redirects=0)
    forms: list[dict[str, str | float | bool]] = [
        {"key": "k", "do": "explode"},
        {"key": "k", "do": "cancel ../../x", "reason": "x"},
        {"key": "k", "do": "backfill", "from": "2026-01-01", "to": "2026-01-04", "windowDays": "two"},
    ]
    for form in forms:
        assert send(f"{service.url}/console/jobs/{JOB}", form=form).status == 400, form
    for name in ("none", f"{JOB}/runs/{UNKNOWN_ID}", f"{JOB}/runs/x", "..%2Fworkflows", "%3Cscript%3E"):
        assert page.request.get(f"{service.url}/console/jobs/{name}").status == 404, name
    other = signed_in(browser, service, "eve", TENANT)
    assert other.get_by_role("link", name="Jobs").count() == 0
    with client(service, "ada", SYSTEM_TENANT) as asking:
        run = asking.post(f"/jobs/{JOB}/trigger").json()["runId"]
    for path in ("jobs", f"jobs/{JOB}", f"jobs/{JOB}/runs", f"jobs/{JOB}/runs/{run}"):
        answer = other.request.get(f"{service.url}/console/{path}")
        assert (answer.status, "Sunday" in answer.text()) == (403, False)
    send = functools.partial(other.request.post, headers={"Origin": service.url}, max_redirects=0)
    pause: dict[str, str | float | bool] = {"do": "pause", "reason": "mine", "key": "k"}
    assert send(f"{service.url}/console/jobs/{JOB}", form=pause).status == 403
    with client(service, "ada", SYSTEM_TENANT) as asking:
        assert asking.get(f"/jobs/{JOB}").json()["paused"] is False


def test_it_fits_in_light_and_dark(page: Page, service: ServiceProcess) -> None:
    for path in ("jobs", f"jobs/{JOB}"):
        page.goto(f"{service.url}/console/{path}")
        looks_well(page)
