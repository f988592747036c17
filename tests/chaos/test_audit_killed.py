"""The audit index and the anchors when the process is killed, and when there are two of them."""

import random
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from infrastructure.signatures import new_key
from tests.audit_trail import audited_log, lines_of, verify_file
from tests.chaos.conftest import Launch
from tests.chaos.decisions import in_thread
from tests.harness import TENANT, ServiceProcess, eventually

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

KILLS = 6
APPROVAL = {"opportunityId": "o", "riskScore": 0.1, "amount": 1}


@pytest.fixture
def signing(tmp_path: Path) -> dict[str, str]:
    """The settings of a service that anchors all the time, into one file."""
    pem, signer = new_key()
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "key.pub").write_bytes(signer.public.pem)
    return {
        "AUDIT_SIGNING_KEY_FILE": str(tmp_path / "key.pem"),
        "AUDIT_ANCHOR_FILE": str(tmp_path / "anchors.ndjson"),
        "AUDIT_ANCHOR_EVERY_SECONDS": "0.02",
    }


async def ask(service: ServiceProcess, answered: list[str]) -> None:
    """Ask for approvals until the service is gone."""
    async with service.async_client() as client:
        try:
            while True:
                answer = await client.post("/api/v1/hitl/approvals", json=APPROVAL)
                if answer.status_code == 201:
                    answered.append(answer.json()["id"])
        except httpx.HTTPError:
            return


async def the_whole_trail(service: ServiceProcess, asked: int) -> bytes:
    """The export, once it has all that was asked."""

    async def whole() -> Any:
        async with service.async_client() as client:
            head = await client.get("/api/v1/audit/head")
            if head.status_code != 200 or head.json()["number"] < asked:
                return None
            if head.json().get("anchor", {}).get("number") != head.json()["number"]:
                return None
            return (await client.get("/api/v1/audit/export")).content

    return bytes(await eventually(whole, seconds=40))


def assert_sound(folder: Path, export: bytes, answered: list[str]) -> None:
    """The chain goes on without gap or double, along every anchor, and has what was answered."""
    file = folder / "export.ndjson"
    file.write_bytes(export)
    told = verify_file(file, [folder / "key.pub"], [folder / "anchors.ndjson"])
    assert told["sound"], told["findings"]
    assert told["notes"] == []
    assert told["anchors"] > 1
    requested = {line["stream"].rpartition("/")[2] for line in lines_of(file) if line["kind"] == "event"}
    assert set(answered) <= requested


@pytest.mark.timeout(240)
async def test_killed_at_any_moment_the_chain_and_the_anchors_go_on(
    tmp_path: Path, processes: Launch, rabbitmq_url: str, signing: dict[str, str]
) -> None:
    answered: list[str] = []
    chance = random.Random(26)
    for _ in range(KILLS):
        service = processes(RABBITMQ_URL=rabbitmq_url, **signing)
        await in_thread(service.start)
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(ask, service, answered)
            await anyio.sleep(chance.uniform(0.3, 1.2))
            service.kill()
    service = processes(RABBITMQ_URL=rabbitmq_url, **signing)
    await in_thread(service.start)
    assert_sound(tmp_path, await the_whole_trail(service, len(answered)), answered)
    await in_thread(service.terminate)
    async with audited_log(tmp_path) as log:
        before = await log.stores.index.heads()
        await log.made_index.clear()
        await log.index(batch_size=100)
        assert await log.stores.index.heads() == before


@pytest.mark.postgres
@pytest.mark.timeout(240)
async def test_of_two_instances_one_indexes_and_when_it_is_killed_the_other_goes_on(
    tmp_path: Path,
    processes: Launch,
    rabbitmq_url: str,
    postgres_store_url: str,
    signing: dict[str, str],
) -> None:
    answered: list[str] = []
    shared = {"RABBITMQ_URL": rabbitmq_url, "EVENT_STORE_URL": postgres_store_url, **signing}

    def launched(number: int) -> ServiceProcess:
        return processes(DATA_DIR=str(tmp_path / f"data-{number}"), **shared)

    services = [launched(1), launched(2)]
    for each in services:
        await in_thread(each.start)
    for number in (3, 4):
        async with anyio.create_task_group() as tasks:
            for each in services:
                tasks.start_soon(ask, each, answered)
            await anyio.sleep(1.0)
            services.pop(0).kill()
            await anyio.sleep(0.5)
            tasks.cancel_scope.cancel()
        services.append(launched(number))
        await in_thread(services[-1].start)
    export = await the_whole_trail(services[0], len(answered))
    assert_sound(tmp_path, export, answered)
    assert TENANT.encode() in export
