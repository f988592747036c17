"""A tenant's mass of work keeps no other's waiting: the children of one begin in turn with those of many."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.workflow import WorkflowStarted
from projections.turns import PORTION
from tests.harness import OTHER_TENANT, TENANT, Service, eventually, service, settings_in

pytestmark = pytest.mark.anyio

PARENTS, EACH = 15, 80
CHILD = {
    "name": "child",
    "version": 1,
    "steps": [{"stepType": "rest", "kind": "task", "parameters": {"queue": "rest"}}],
}
PARENT = {
    "name": "parent",
    "version": 1,
    "steps": [
        {
            "stepType": "children",
            "kind": "map",
            "map": {
                "over": "input.list",
                "atOnce": 1000,
                "each": {"kind": "workflow", "parameters": {"definition": "child"}},
            },
        }
    ],
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Service]:
    async with service(settings_in(tmp_path)) as running:
        yield running


async def asked(client: httpx.AsyncClient, method: str, path: str, **what: Any) -> Any:
    answer = await client.request(method, f"/api/v1/{path}", **what)
    assert answer.is_success, answer.text
    return answer.json()


async def start(client: httpx.AsyncClient, children: int) -> None:
    body = {"definition": "parent", "input": {"list": list(range(children))}}
    await asked(client, "POST", "workflows", json=body)


async def test_a_child_behind_a_thousand_of_another_tenant_begins_among_the_first(world: Service) -> None:
    async with world.client(TENANT) as many, world.client(OTHER_TENANT) as one:
        for client in (many, one):
            for definition in (CHILD, PARENT):
                await asked(client, "PUT", f"workflow-definitions/{definition['name']}", json=definition)
        for _ in range(PARENTS):
            await start(many, EACH)
        await start(one, 1)

        async def have_all_begun() -> bool:
            found = await asked(many, "GET", "workflows", params={"definition": "child", "limit": 1})
            return bool(found["total"] == PARENTS * EACH)

        await eventually(have_all_begun, every=0.2)
    begun = [event.definition == "child" for event in await starts(world, TENANT, OTHER_TENANT)]
    of_one = await starts(world, OTHER_TENANT)
    everything = await starts(world, TENANT, OTHER_TENANT)
    asked_for, child = (everything.index(each) for each in of_one)
    assert sum(begun[asked_for:child]) <= 4 * PORTION, "of a thousand"
    assert sum(begun) == PARENTS * EACH + 1, "each once"


async def starts(world: Service, *tenants: str) -> list[WorkflowStarted]:
    """In the order of the log."""
    store, position, found = world.container.stores.event_store, None, list[WorkflowStarted]()
    while (batch := await store.read("log", position, 500)) is not None:
        position = batch.position
        found += [
            each.event
            for each in batch.events
            if isinstance(each.event, WorkflowStarted) and each.meta.tenant in tenants
        ]
    return found
