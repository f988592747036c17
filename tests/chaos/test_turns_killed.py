"""kill -9 while a tenant's mass of children begins in turn with another's: each begins once, none is lost.

What was done ahead of the position comes again after a kill, or in another instance, and finds itself done.
"""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.chaos.conftest import Launch
from tests.chaos.decisions import in_thread
from tests.harness import OTHER_TENANT, TENANT, ServiceProcess, eventually
from tests.integration.test_tenants_turns import PARENT

pytestmark = pytest.mark.anyio

PARENTS, EACH, KILLS = 12, 80, 4
CHILD = {
    "name": "child",
    "version": 1,
    "steps": [{"stepType": "rest", "kind": "wait", "parameters": {"seconds": 0.01}}],
}


@pytest.fixture(
    params=[
        "one, SQLite",
        pytest.param("two, PostgreSQL", marks=[pytest.mark.postgres, pytest.mark.rabbitmq]),
    ]
)
def services(request: pytest.FixtureRequest, tmp_path: Path, processes: Launch) -> Sequence[ServiceProcess]:
    if request.param == "one, SQLite":
        return [processes()]
    fixture = request.getfixturevalue
    stores = {"EVENT_STORE_URL": fixture("postgres_store_url"), "RABBITMQ_URL": fixture("rabbitmq_url")}
    return [processes(**stores, DATA_DIR=str(tmp_path / name)) for name in ("a", "b")]


class Tenant:
    """One that starts parents, and asks again what nobody has answered."""

    def __init__(self, services: Sequence[ServiceProcess], name: str) -> None:
        self.parents: list[str] = []
        self._services = services
        self._name = name

    async def ask(self, method: str, path: str, **what: Any) -> Any:
        """Ask until there is an answer, whoever is killed meanwhile."""
        return await insist(self._services, method, path, tenant=self._name, **what)

    async def start(self, parents: int, children: int, pause: float = 0.0) -> None:
        """Start parents, each once."""
        for number in range(parents):
            body = {"definition": "parent", "input": {"list": list(range(children))}}
            key = {"Idempotency-Key": f"{self._name}-{number}"}
            begun = await self.ask("POST", "workflows", json=body, headers=key)
            self.parents.append(begun["workflowId"])
            await anyio.sleep(pause)

    async def have_all_ended(self) -> bool:
        """Whether nothing runs any more."""
        return bool((await self.ask("GET", "workflows?status=running&limit=1"))["total"] == 0)

    async def check(self, children: int) -> None:
        """Every parent has completed, by as many children, each of which has begun once."""
        found = (await self.ask("GET", "workflows?definition=child&limit=1"))["total"]
        assert found == len(self.parents) * children
        for parent in self.parents:
            workflow = await self.ask("GET", f"workflows/{parent}")
            assert workflow["status"] == "completed", workflow
            ids = [each["workflowId"] for each in workflow["results"]["children"]]
            assert Counter(ids).most_common(1)[0][1] == 1
            assert len(ids) == children


async def insist(
    services: Sequence[ServiceProcess], method: str, path: str, *, tenant: str, **what: Any
) -> Any:
    turn = cycle(services)

    async def answer() -> Any:
        service = next(turn)
        try:
            async with service.async_client(tenant) as client:
                found = await client.request(method, f"/api/v1/{path}", **what)
        except httpx.TransportError:
            return None
        assert found.status_code < 500 or found.status_code == 503, found.text
        return found.json() if found.is_success else None

    return await eventually(answer, seconds=60, every=0.1)


@pytest.mark.timeout(300)
async def test_each_child_of_both_begins_once(services: Sequence[ServiceProcess]) -> None:
    chance = random.Random(11)
    for service in services:
        await in_thread(service.start)
    many, few = Tenant(services, TENANT), Tenant(services, OTHER_TENANT)
    for tenant in (many, few):
        for definition in (CHILD, PARENT):
            await tenant.ask("PUT", f"workflow-definitions/{definition['name']}", json=definition)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(many.start, PARENTS, EACH)
        tasks.start_soon(few.start, 20, 1, 0.2)
        for _, service in zip(range(KILLS), cycle(services), strict=False):
            await anyio.sleep(chance.uniform(0.5, 1.5))
            await in_thread(service.kill)
            await in_thread(service.start)
    for tenant in (many, few):
        await eventually(tenant.have_all_ended, seconds=120, every=0.5)
    await many.check(EACH)
    await few.check(1)
