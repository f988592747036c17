"""A routing key that the broker's permissions forbid: its messages wait, and nobody else's."""

from collections.abc import Iterator

import pytest

from tests.harness import OTHER_TENANT, SYSTEM_TENANT, TENANT, Service, eventually
from tests.integration.test_full_queue import DECIDED, decided, outbox
from tests.neighbours import Names, Neighbour
from tests.services import RabbitNode, free_port, rabbitmq_node

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitNode]:
    """One whose permissions this test changes."""
    with rabbitmq_node(free_port()) as node:
        node.start()
        yield node


@pytest.fixture(scope="module")
def rabbitmq_url(broker: RabbitNode) -> str:
    """Its URL."""
    return broker.url


@pytest.fixture
def names(broker: RabbitNode) -> Names:
    """With an exchange on which nobody may tell of a decision."""
    fresh = Names.fresh()
    write = rf"^(?!{DECIDED}$)"
    broker.told("set_topic_permissions", "guest", fresh.exchange, write, ".*")
    return fresh


async def test_a_forbidden_key_keeps_its_own_messages_waiting_and_no_others(
    broker: RabbitNode, orchestrator: Service, crm: Neighbour
) -> None:
    waiting = [await decided(orchestrator, TENANT), await decided(orchestrator, OTHER_TENANT)]

    async def is_told() -> bool:
        return bool((await outbox(orchestrator))["status"] == "failing")

    await eventually(is_told)
    async with orchestrator.client(SYSTEM_TENANT) as client:
        assert (await client.post("/api/v1/jobs/outcome-sync/trigger")).status_code == 202
        metrics = (await client.get("/metrics")).text
    await crm.expect("workflow.job.trigger", seconds=30)
    assert f"the broker forbids {DECIDED}: " in (await outbox(orchestrator))["error"]
    assert 'follower_failing{follower="outbox"} 1.0' in metrics
    assert crm.messages(DECIDED) == []
    broker.told("clear_topic_permissions", "guest", crm.names.exchange)
    came = await crm.expect(DECIDED, 2, seconds=60)
    assert sorted(each["data"]["approvalId"] for each in came) == sorted(waiting)

    async def is_well() -> bool:
        return bool((await outbox(orchestrator))["status"] == "running")

    await eventually(is_well)
    assert (await outbox(orchestrator))["lagSeconds"] == 0
