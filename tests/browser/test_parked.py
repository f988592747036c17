"""Messages that can never be handled, in a real browser and on a real broker."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import aio_pika
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.broker import forgotten
from tests.browser.visitor import SCRIPT, SECRET, looks_well, picture, serious, signed_in
from tests.harness import SYSTEM_TENANT, TENANT, UNKNOWN_ID, ServiceProcess, service_process
from tests.neighbours import Names

pytestmark = pytest.mark.rabbitmq


@pytest.fixture(scope="module")
def names() -> Names:
    return Names.fresh()


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, rabbitmq_url: str, names: Names
) -> Iterator[ServiceProcess]:
    given = {"RABBITMQ_URL": rabbitmq_url, "JWT_SECRET": SECRET, "BATCH_JOBS_ENABLED": "false"}
    folder = tmp_path_factory.mktemp("parked")
    with forgotten(rabbitmq_url, names), service_process(folder, overlay=names.overlay(), **given) as running:
        yield running


@pytest.fixture
def park(service: ServiceProcess, rabbitmq_url: str, names: Names) -> None:
    """One message is parked, and no other."""

    async def put() -> None:
        async with await aio_pika.connect(rabbitmq_url) as connection, connection.channel() as channel:
            queue = await channel.declare_queue(names.dead_letter_queue, durable=True)
            await queue.purge()
            own = await channel.declare_queue(names.queue, durable=True)
            came_as = {"x-original-routing-key": "hitl.approval.requested"}
            bad = aio_pika.Message(SCRIPT.encode(), headers=dict(came_as))
            await channel.default_exchange.publish(bad, own.name)
            while not (
                await channel.declare_queue(queue.name, passive=True)
            ).declaration_result.message_count:
                await asyncio.sleep(0.05)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, put()).result(30)


def operator(browser: Browser, service: ServiceProcess) -> Page:
    page = signed_in(browser, service, "ada", SYSTEM_TENANT, roles=["admin"])
    page.get_by_role("link", name="System").click()
    page.get_by_role("link", name="Parked messages").click()
    page.get_by_role("heading", name="Parked messages").wait_for()
    return page


def test_one_is_looked_at_and_what_it_says_is_only_text(
    browser: Browser, service: ServiceProcess, park: None
) -> None:
    page = operator(browser, service)
    assert "not JSON" in page.get_by_role("row").nth(1).inner_text()
    assert serious(page) == []
    page.get_by_role("link", name="hitl.approval.requested").press("Enter")
    expect(page.locator("pre")).to_have_text(SCRIPT)
    picture(page, "parked")
    assert page.title() != "caught"
    looks_well(page)


def test_one_is_discarded_with_a_reason_and_another_cannot_do_so_again(
    browser: Browser, service: ServiceProcess, park: None
) -> None:
    page, late = operator(browser, service), operator(browser, service)
    for each in (page, late):
        each.get_by_role("link", name="hitl.approval.requested").click()
        each.get_by_role("heading", name="Content").wait_for()
    page.get_by_role("button", name="Discard message").click()
    assert page.get_by_label("Reason for discarding").evaluate("field => field.matches(':invalid')")
    page.get_by_label("Reason for discarding").fill(SCRIPT)
    page.get_by_role("button", name="Discard message").dblclick()
    expect(page.locator("#main")).to_contain_text("No parked messages")
    late.get_by_role("button", name="Requeue message").click()
    expect(late.get_by_role("alert")).to_contain_text("somebody has dealt with it")
    assert page.title() != "caught"
    assert serious(page) == []


def test_one_is_requeued_and_comes_back_while_nothing_was_mended(
    browser: Browser, service: ServiceProcess, park: None
) -> None:
    page = operator(browser, service)
    link = page.get_by_role("link", name="hitl.approval.requested")
    before = link.get_attribute("href")
    link.click()
    page.get_by_label("Reason for requeuing (optional)").fill("mended by the sender")
    # Within the same second it would be parked under the same id.
    parked_at = datetime.fromisoformat(str(page.locator("time").first.get_attribute("datetime")))
    page.wait_for_timeout(max(0.0, 1100 - 1000 * (datetime.now(UTC) - parked_at).total_seconds()))
    page.get_by_role("button", name="Requeue message").click()
    page.get_by_role("heading", name="Parked messages").wait_for()
    expect(page.get_by_role("link", name="hitl.approval.requested")).to_have_count(1)
    assert before is not None
    assert link.get_attribute("href") != before, "it was parked anew"


def test_nonsense_is_refused_and_so_is_whoever_is_no_operator_of_the_system_tenant(
    browser: Browser, service: ServiceProcess, park: None
) -> None:
    page = operator(browser, service)
    address = page.get_by_role("link", name="hitl.approval.requested").get_attribute("href")
    one = f"{service.url}{address}"
    send = partial(page.request.post, headers={"Origin": service.url}, max_redirects=0)
    assert send(one, form={"key": "k", "do": "explode"}).status == 400
    assert send(one, form={"key": "k", "do": "discard", "reason": " "}).status == 400
    for id in (UNKNOWN_ID, "x"):
        assert page.request.get(f"{service.url}/console/system/parked/{id}").status == 404
    for tenant, roles in ((TENANT, ["admin"]), (SYSTEM_TENANT, [])):
        other = signed_in(browser, service, "eve", tenant, roles=roles)
        other.goto(f"{service.url}/console/system")
        assert other.get_by_role("link", name="Parked messages").count() == 0
        for path in ("/console/system/parked", str(address)):
            answer = other.request.get(f"{service.url}{path}")
            assert (answer.status, "onerror" in answer.text()) == (403, False)
        send = partial(other.request.post, headers={"Origin": service.url}, max_redirects=0)
        assert send(one, form={"key": "k", "do": "discard", "reason": "mine"}).status == 403
    assert page.request.get(one).status == 200
