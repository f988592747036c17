"""A service goes on where its log has been copied between one order over all tenants and one a tenant.

One log, from life to life: SQLite, Cosmos DB, PostgreSQL, another database in Cosmos DB, and SQLite again.
"""

import base64
import json
import re
import subprocess
from collections.abc import AsyncIterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync

from infrastructure.signatures import new_key
from tests.application.logs import UNVERIFIED
from tests.cosmos import Account
from tests.harness import OTHER_TENANT, TENANT, USER, Service, eventually, run_command, service, settings_in
from tests.infrastructure.cosmos_places import place_in
from tests.integration.conftest import is_connected
from tests.neighbours import Names, Neighbour

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.cosmos,
    pytest.mark.postgres,
    pytest.mark.rabbitmq,
    pytest.mark.timeout(400),
    UNVERIFIED,
]

API = "/api/v1"
TENANTS = (TENANT, OTHER_TENANT)
STEP_SECONDS = "12"
"""Longer than a life takes: what waits is overdue in the next one."""

Life = dict[str, Any]


@pytest.fixture
async def lives(
    cosmos: Account, tmp_path: Path, rabbitmq_url: str, postgres_store_url: str
) -> AsyncIterator[list[Life]]:
    """The variables of each; what is not of a store is the same. Documents in Cosmos DB are kept, once."""
    pem, signer = new_key()
    (tmp_path / "key.pub").write_bytes(signer.public.pem)
    (tmp_path / "key.pem").write_bytes(pem)
    same = {
        "RABBITMQ_URL": rabbitmq_url,
        "PRIVACY_MASTER_KEY": base64.b64encode(bytes(32)).decode(),
        "AUDIT_SIGNING_KEY_FILE": str(tmp_path / "key.pem"),
        "AUDIT_ANCHOR_FILE": str(tmp_path / "anchors.ndjson"),
        "AUDIT_ANCHOR_EVERY_SECONDS": "1",
        "WORKFLOW_STEP_TIMEOUT_SECONDS": STEP_SECONDS,
    }
    async with place_in(cosmos) as one, place_in(cosmos) as two:
        first, second = cosmos.environ(one.name), cosmos.environ(two.name)
        yield [
            {**same, **stores, "DATA_DIR": str(tmp_path / f"life-{number}")}
            for number, stores in enumerate(
                (
                    {**first, "EVENT_STORE_URL": f"sqlite:///{tmp_path / 'first' / 'events.db'}"},
                    {**first, "EVENT_STORE_URL": "cosmos://"},
                    {**first, "EVENT_STORE_URL": postgres_store_url},
                    {**second, "EVENT_STORE_URL": "cosmos://"},
                    {"EVENT_STORE_URL": f"sqlite:///{tmp_path / 'last' / 'events.db'}"},
                )
            )
        ]


async def ran(*arguments: str, **environ: str) -> str:
    """What a command says that goes through."""

    def run() -> "subprocess.CompletedProcess[str]":
        return run_command(*arguments, timeout=120, **environ)

    ended = await run_sync(run)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return str(ended.stdout)


async def copied(before: Life, after: Life) -> None:
    """Copy the log between two lives; the account is that of whichever side is in Cosmos DB."""
    account = before if before["EVENT_STORE_URL"] == "cosmos://" else after
    where = ("--from", before["EVENT_STORE_URL"], "--to", after["EVENT_STORE_URL"])
    told = await ran("copy-log", *where, **account)
    hashes = re.findall(r"--(?:from|to) +(\d+ events of \d+ tenants, sha256 [0-9a-f]{64}) ", told)
    assert len(hashes) == 2
    assert hashes[0] == hashes[1]
    for tenant in TENANTS:
        assert re.search(rf"{tenant}: \d+ events, sha256 [0-9a-f]{{64}}\n", told)
    assert re.search(r"beside it: [1-9]\d* timers", told), "a step's answer is waited for"
    assert "personal keys: the new store needs the same privacy master key" in told
    assert told.endswith("copied and verified\n")
    assert (await ran("copy-log", *where, **account)).endswith("the same log was there already\n")


async def is_sound(life: Life, folder: Path) -> None:
    """Every chain, along the anchors of all lives."""
    keys = ("--anchors", str(folder / "anchors.ndjson"), "--public-key", str(folder / "key.pub"))
    assert "\nSOUND" in f"\n{await ran('audit', 'verify', *keys, **life)}"


async def posted(running: Service, tenant: str, path: str, body: Mapping[str, Any], by: str = USER) -> Any:
    async with running.client(tenant, **{"X-User-ID": by}) as client:
        answer = await client.post(f"{API}{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def read(running: Service, tenant: str, path: str) -> Any:
    async with running.client(tenant) as client:
        return (await client.get(f"{API}{path}")).json()


async def lived(running: Service, number: int) -> dict[str, str]:
    """Each tenant decides something with words, and begins what waits for an answer; the latter's ids."""
    waiting: dict[str, str] = {}
    for tenant in TENANTS:
        asked = await posted(
            running, tenant, "/hitl/approvals", {"opportunityId": "opp-1", "riskScore": 1, "amount": 1}
        )
        decision = {"decidedBy": "ada", "comment": f"fine {number}"}
        await posted(running, tenant, f"/hitl/approvals/{asked['id']}/approve", decision, "ada")
        started = await posted(running, tenant, "/workflows", {"opportunityId": "opp-9"})
        waiting[tenant] = started["workflowId"]
    await running.caught_up()
    return waiting


async def comments(running: Service, tenant: str) -> list[str]:
    listed = await read(running, tenant, "/hitl/approvals")
    return sorted(each["comment"] for each in listed["approvals"])


def anchored(folder: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    file = folder / "anchors.ndjson"
    for line in file.read_text().splitlines() if file.exists() else ():
        found.setdefault(json.loads(line)["tenantId"], []).append(json.loads(line))
    return found


async def test_nothing_is_said_twice_nothing_is_forgotten_and_every_proof_holds(
    lives: list[Life], tmp_path: Path, names: Names, crm: Neighbour
) -> None:
    def told() -> list[str]:
        return [message["id"] for message in crm.messages() if message["type"] != "workflow.audit.anchored"]

    waiting: dict[str, str] = {}
    for number, (before, life) in enumerate(pairwise([None, *lives])):
        assert life is not None
        said = told()
        if before is not None:
            await copied(before, life)
            await is_sound(life, tmp_path)
        Path(life["DATA_DIR"]).mkdir()
        async with service(settings_in(tmp_path, overlay=names.overlay(), **life)) as running:
            await is_connected(running)
            await running.caught_up()
            for tenant, workflow_id in waiting.items():

                async def has_failed(tenant: str = tenant, id: str = workflow_id) -> bool:
                    return bool((await read(running, tenant, f"/workflows/{id}"))["status"] == "failed")

                await eventually(has_failed, seconds=30)
            await running.caught_up()
            assert told()[: len(said)] == said
            assert len(told()) == len(set(told())), "nothing is said twice"
            waiting = await lived(running, number)
            for tenant in TENANTS:
                assert await comments(running, tenant) == [f"fine {each}" for each in range(number + 1)]
            assert all(each.status.failures == 0 for each in running.container.parts.followers)
            await crm.expect("hitl.approval.completed", 2 * (number + 1))
            heads = {tenant: await read(running, tenant, "/audit/head") for tenant in TENANTS}

            async def are_anchored(heads: dict[str, Any] = heads) -> bool:
                last = {tenant: each[-1]["number"] for tenant, each in anchored(tmp_path).items()}
                return all(last.get(tenant, 0) >= head["number"] for tenant, head in heads.items())

            await eventually(are_anchored, seconds=20)
        await anyio.sleep(0.3)
        assert len(told()) == len(set(told()))
    await is_sound(lives[-1], tmp_path)
    for each in anchored(tmp_path).values():
        assert [anchor["sequence"] for anchor in each] == list(range(1, len(each) + 1))
        assert all(anchor["previousHeld"] for anchor in each), "no anchored head is lost on the way"
