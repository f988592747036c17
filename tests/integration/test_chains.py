"""Definitions that start each other by what they tell: bounded, and whoever looks sees which and why."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from application.chains import MOST_IN_A_CHAIN
from interfaces.definitions import triggers
from tests.harness import Service, eventually, service, settings_in

pytestmark = pytest.mark.anyio


def plan(name: str, on: str, **more: Any) -> dict[str, Any]:
    """A plan that a message starts, and that is over at once."""
    rest = {"stepType": "rest", "kind": "wait", "parameters": {"seconds": 0.01}}
    return {"name": name, "version": 1, "triggers": [{"messageType": on}], "steps": [rest], **more}


def asks(what: str) -> dict[str, Any]:
    """A step that asks for something, whether or not that is there."""
    return {
        "stepType": "ask",
        "kind": "event",
        "parameters": {"request": what, "replies": [{"type": "own.told"}]},
        "timeout": 1,
    }


PING = plan("ping", "pong.done", announcements={"completed": "ping.done"})
PONG = plan("pong", "ping.done", announcements={"completed": "pong.done"})
TWICE = plan("twice", "own.wanted", steps=[{**asks("own.wanted"), "when": "steps"}])
PARENT = plan(
    "parent",
    "child.done",
    steps=[{"stepType": "run", "kind": "workflow", "parameters": {"definition": "child", "await": False}}],
)
CHILD = {**plan("child", "never.told"), "announcements": {"completed": "child.done"}}


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """A service on its own bus, which hears what its definitions tell."""
    monkeypatch.setattr(triggers, "KEPT_SECONDS", 0.05)
    types = ["ping.done", "pong.done", "own.wanted", "child.done"]
    overlay = {"rabbitmq": {"message_types": types}, "followers": {"poll_seconds": 0.1}}
    async with service(settings_in(tmp_path, overlay=overlay)) as running:
        yield running


async def started_of(world: Service) -> int:
    async with world.client() as client:
        found = (await client.get("/api/v1/workflows", params={"limit": 1})).json()
    total: int = found["total"]
    return total


@pytest.mark.parametrize(
    ("plans", "names"),
    [
        ([PING, PONG], " > ".join(["ping", "pong"] * 8 + ["ping", "pong"])),
        ([TWICE], " > ".join(["twice"] * 18)),
        ([PARENT, CHILD], " > ".join(["child"] * 17 + ["parent"])),
    ],
    ids=["two announce what starts the other", "one asks for what starts it", "a child announces it"],
)
async def test_workflows_that_start_each_other_come_to_an_end(
    world: Service, plans: list[dict[str, Any]], names: str
) -> None:
    async with world.client() as client:
        for each in plans:
            put = await client.put(f"/api/v1/workflow-definitions/{each['name']}", json=each)
            assert put.status_code == 201, put.text
        await world.caught_up()
        started = await client.post("/api/v1/workflows", json={"definition": plans[0]["name"]})
        assert started.status_code == 202, started.text

        async def parked() -> Any:
            return (await world.container.transport.parked.oldest())[0]

        (message,) = await eventually(parked)
        assert message.reason.endswith(f"and at most {MOST_IN_A_CHAIN} may: {names}")
        before = await started_of(world)
        await anyio.sleep(0.5)
        await world.caught_up()
        assert await started_of(world) == before


async def test_what_a_workflow_tells_sets_off_what_its_starter_asks_for_and_does_not_decide(
    world: Service,
) -> None:
    pays = plan("pays", "ping.done", steps=[{"stepType": "sign", "kind": "approval", "timeout": 60}])
    tells = plan("tells", "never.told", announcements={"completed": "ping.done"})
    async with world.client(**{"X-User-ID": "bob"}) as bob:
        for made in (pays, tells):
            answer = await bob.post("/api/v1/workflow-definitions", json=made)
            assert answer.status_code == 201, answer.text
        await anyio.sleep(0.1)
        await bob.post("/api/v1/workflows", json={"definition": "tells", "opportunityId": "opp-1"})

        async def asked() -> dict[str, Any] | None:
            found = (await bob.get("/api/v1/hitl/approvals")).json()["approvals"]
            return found[0] if found else None

        approval = await eventually(asked)
        assert approval["requestedBy"] == "bob"
        refused = await bob.post(
            f"/api/v1/hitl/approvals/{approval['id']}/approve", json={"decidedBy": "bob"}
        )
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "HITL_SEPARATION_OF_DUTIES")
