"""The account in which the log is goes and comes: nothing is decided without it, nothing waits in vain."""

import time
from collections.abc import AsyncIterator

import pytest

from tests.chaos.conftest import Launch, LaunchOn
from tests.chaos.decisions import in_thread
from tests.chaos.proxy import Proxy, proxy
from tests.chaos.test_cosmos_instances import KEY
from tests.chaos.test_event_store_away import lost_and_waited_for
from tests.cosmos import Account, dropped_afterwards, fresh_database
from tests.harness import ServiceProcess
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, pytest.mark.timeout(180)]


@pytest.fixture
async def launch(processes: Launch, plain_cosmos: Account) -> AsyncIterator[LaunchOn]:
    """Makes services that reach the account through a proxy."""
    database = fresh_database()

    def make(between: Proxy, **environ: str) -> ServiceProcess:
        account = Account(f"http://127.0.0.1:{between.port}", plain_cosmos.key)
        log = {"EVENT_STORE_URL": "cosmos://", "PRIVACY_MASTER_KEY": KEY}
        return processes(**account.environ(database), **log, **environ)

    async with dropped_afterwards(plain_cosmos, database):
        yield make


@pytest.mark.rabbitmq
async def test_an_account_that_is_lost_is_waited_for_and_nothing_is_parked(
    launch: LaunchOn, rabbitmq_url: str, plain_cosmos: Account, crm: Neighbour
) -> None:
    with proxy(plain_cosmos.endpoint) as between:
        service = launch(between, RABBITMQ_URL=rabbitmq_url)
        await lost_and_waited_for(service, between, crm, documents_stay=False)


async def test_an_account_that_stays_away_at_start_ends_it_with_one_clear_line(
    launch: LaunchOn, plain_cosmos: Account
) -> None:
    service = launch(
        Proxy(plain_cosmos.endpoint),
        RABBITMQ_URL="amqp://guest:guest@127.0.0.1:1/",
        STORE_STARTUP_TIMEOUT_SECONDS="3",
    )
    began = time.monotonic()
    service.launch()
    code = await in_thread(lambda: service.wait(40))
    assert code not in (0, None)
    assert 3 <= time.monotonic() - began < 30
    assert "were unavailable for 3 s" in service.log.strip().splitlines()[-1]
    assert "Traceback" not in service.log
