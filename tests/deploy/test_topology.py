"""What compose.yaml and the manifests put together, put together out of processes: does it hang together?

PostgreSQL with its two roles, RabbitMQ, Cosmos DB (the emulator in the tests), the migration, as many
instances as the files say, with their roles, and the gateway in front of those that serve REST. The
environments are the files' own; only addresses are put in the place of theirs.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.chaos.decisions import in_thread, until_ready
from tests.chaos.instances import leader_of
from tests.contract.amqp import validate_message
from tests.cosmos import Account, dropped_afterwards, fresh_database
from tests.deploy.files import GIVEN, SHUTDOWN_SECONDS
from tests.deploy.gateway import gateway
from tests.deploy.topology import Deployment, Places, compose, database_server, kubernetes
from tests.harness import TENANT, USER, ServiceProcess, eventually, run_command
from tests.integration.test_opportunity_analysis import REPLIES
from tests.interfaces.rest.test_identity import bearer, token
from tests.neighbours import Names, Neighbour, forget, neighbour
from tests.plain_http import NO_TLS

DEPLOYMENTS: dict[str, Callable[[], Deployment]] = {"compose": compose, "kubernetes": kubernetes}

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.rabbitmq,
    pytest.mark.postgres,
    pytest.mark.cosmos,
]

APPROVALS, WORKFLOWS = "/api/v1/hitl/approvals", "/api/v1/workflows"
ASKED = {"opportunityId": "opp-1", "riskScore": 0.9, "amount": 250_000}


@pytest.fixture
def postgres() -> Iterator[str]:
    """A server whose roles are those of the files."""
    with database_server() as url:
        yield url


@pytest.fixture
def names() -> Names:
    """Names of this test's own on the broker."""
    return Names.fresh()


@pytest.fixture
async def crm(rabbitmq_url: str, names: Names) -> AsyncIterator[Neighbour]:
    """The neighbours, in one person; what they are told keeps to the contract."""
    async with neighbour(rabbitmq_url, names, clean=False) as each:
        yield each
        for message in each.seen:
            if message.app_id == "workflow-orchestrator":
                validate_message(message.body, message)
    await forget(rabbitmq_url, names)


def client_of(url: str) -> httpx.AsyncClient:
    """A client of a tenant, with a token of the platform."""
    signed = bearer(token(secret=GIVEN["JWT_SECRET"], exp=int(time.time()) + 600))
    return httpx.AsyncClient(
        base_url=url, timeout=30, headers={"X-Tenant-ID": TENANT, **signed}, verify=NO_TLS
    )


async def ask(client: httpx.AsyncClient) -> str:
    """Ask for an approval, as somebody else than who decides it; its id."""
    somebody = bearer(token(secret=GIVEN["JWT_SECRET"], sub="rita", exp=int(time.time()) + 600))
    answer = await client.post(APPROVALS, json=ASKED, headers=somebody)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def approve(client: httpx.AsyncClient, approval_id: str) -> None:
    """Approve it."""
    answer = await client.post(f"{APPROVALS}/{approval_id}/approve", json={"decidedBy": USER})
    assert (answer.status_code, answer.json().get("status")) == (200, "approved"), answer.text


async def told(crm: Neighbour, approval_id: str) -> dict[str, Any]:
    """What the neighbours are told of a decision."""

    async def heard() -> list[dict[str, Any]]:
        messages = crm.messages("hitl.approval.completed")
        return [each for each in messages if each["data"]["approvalId"] == approval_id]

    messages: list[dict[str, Any]] = await eventually(heard)
    return messages[0]


async def a_workflow_ends(crm: Neighbour) -> str:
    """Let an opportunity change, and the neighbours answer; the id of the workflow that came to its end."""
    await crm.send("integration.opportunity.updated", {"opportunityId": "opp-1"})
    (started,) = await crm.expect("workflow.opportunity.analysis.started")
    workflow_id = str(started["data"]["workflowId"])
    for reply, data in REPLIES.items():
        await crm.send(reply, {"workflowId": workflow_id, **data})
    (completed,) = await crm.expect("workflow.opportunity.analysis.completed")
    assert completed["data"]["workflowId"] == workflow_id
    return workflow_id


@pytest.mark.timeout(240)
@pytest.mark.parametrize("deployment", DEPLOYMENTS)
async def test_the_instances_are_one_service_and_some_of_them_may_go(
    deployment: str, tmp_path: Path, postgres: str, rabbitmq_url: str, cosmos: Account, crm: Neighbour
) -> None:
    said = DEPLOYMENTS[deployment]()
    places = Places(postgres, rabbitmq_url, cosmos, fresh_database())
    instances = []
    for number, environ in enumerate(said.serving):
        (folder := tmp_path / f"instance-{number}").mkdir()
        overlay = crm.names.overlay()
        instances.append(ServiceProcess(folder, overlay=overlay, **places.put_into(environ)))
    apis = [each for each in instances if "api" in each.environ.get("SERVICE_ROLES", "api")]
    async with dropped_afterwards(cosmos, places.cosmos_database):
        try:
            await it_is_migrated(places, said)
            for each in instances:
                each.launch()
            for each in instances:
                await in_thread(each.until_it_serves)
                await until_ready(each)
            with gateway(tmp_path / "gateway", *(each.port for each in apis)) as before:
                await they_are_one(apis, before.url, crm)
                await some_go(instances, apis, before.url, crm)
        finally:
            for each in instances:
                each.stop()
    ids = [each["id"] for each in crm.messages()]
    assert len(ids) == len(set(ids)), "something was told twice"


async def it_is_migrated(places: Places, said: Deployment) -> None:
    """As the Job and the container do it; whoever serves has no right to."""
    serving = {**places.put_into(said.serving[0]), "SERVICE_ROLES": ""}
    refused = await in_thread(lambda: run_command("migrate", timeout=60, **serving))
    assert (refused.returncode, "permission denied" in refused.stderr) == (1, True), refused.stderr
    migrating = places.put_into(said.migrating)
    migrated = await in_thread(lambda: run_command("migrate", timeout=60, **migrating))
    assert migrated.returncode == 0, migrated.stderr


async def they_are_one(apis: list[ServiceProcess], gateway_url: str, crm: Neighbour) -> None:
    """What is asked of one is decided by another, told once, and shown by both."""
    one, other, anyone = (client_of(url) for url in (apis[0].url, apis[1].url, gateway_url))
    async with one, other, anyone:
        for asks, decides in ((one, other), (other, one), (anyone, anyone)):
            approval_id = await ask(asks)
            await approve(decides, approval_id)
            message = await told(crm, approval_id)
            assert (message["tenantId"], message["data"]["approved"]) == (TENANT, True)
            for each in (one, other):
                await until_listed(each, APPROVALS, "approved", approval_id)
        workflow_id = await a_workflow_ends(crm)
        for each in (one, other):
            await until_listed(each, WORKFLOWS, "completed", workflow_id)


async def until_listed(client: httpx.AsyncClient, path: str, status: str, id: str) -> None:
    """Wait until the documents show that something is in a state."""

    async def shown() -> bool:
        answer = await client.get(path, params={"status": status})
        assert answer.status_code == 200, answer.text
        (found,) = (value for value in answer.json().values() if isinstance(value, list))
        return id in {each["id"] for each in found}

    await eventually(shown)


async def some_go(
    instances: list[ServiceProcess], apis: list[ServiceProcess], gateway_url: str, crm: Neighbour
) -> None:
    """SIGTERM ends in time whoever publishes, and one that serves; the others serve and publish."""
    publishes = await leader_of("outbox", instances)
    going = [publishes] if publishes in apis else [publishes, apis[0]]
    codes: list[int] = []

    async def end(goes: ServiceProcess) -> None:
        codes.append(await in_thread(lambda: goes.terminate(SHUTDOWN_SECONDS)))

    async with client_of(gateway_url) as client:
        async with anyio.create_task_group() as tasks:
            for each in going:
                tasks.start_soon(end, each)
            while len(codes) < len(going):
                # 503 for a request that was on its way in just then: the gateway must not send it twice.
                assert (await client.post(APPROVALS, json=ASKED)).status_code in (201, 503)
        assert codes == [0] * len(going), [each.log for each in going]
        for _ in range(4):
            approval_id = await ask(client)
            await approve(client, approval_id)
            await told(crm, approval_id)
    assert [each.is_running for each in instances] == [each not in going for each in instances]
