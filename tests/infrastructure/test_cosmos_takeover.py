"""A share of tenants is taken over though one of them is refused: the others go on, and it follows later."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from threading import Event

import anyio
import pytest
from anyio.to_thread import run_sync

from application.event_log import Place
from application.event_store import EventStore
from application.joint_part import JointPart
from application.shared_reads import SharedReads
from infrastructure.cosmos import recorder as module
from infrastructure.memory.checkpoints import MemoryCheckpoints
from projections.follower import Follower
from tests.application.logs import UNVERIFIED, OpenLogs, cosmos_settings, open_logs
from tests.application.test_event_store import OTHER_STREAM, append
from tests.builders import LEASE, OTHER_TENANT, TENANT, SettableClock
from tests.cosmos import Account
from tests.cosmos_gate import Gate, Refusal, gate_before
from tests.infrastructure.cosmos_places import place_in
from tests.infrastructure.test_cosmos_segments import event, recorder_of
from tests.projections.fakes import Remembering
from tests.projections.following import until

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, UNVERIFIED]

SEVERAL = 4

THROTTLED = Refusal(429, {"x-ms-retry-after-ms": "300"})
"""The SDK asks again for six seconds."""


class Setting:
    """Several followers of one share, which an instance behind a gate takes over from another one."""

    def __init__(self, here: EventStore, there: EventStore, gate: Gate) -> None:
        self.here = here
        self.there = there
        self.gate = gate
        self.positions = MemoryCheckpoints()
        self.handlers = [Remembering() for _ in range(SEVERAL)]
        for number, handler in enumerate(self.handlers):
            handler.name = f"remembering-{number}"
        reads = SharedReads(there)
        self.followers = [
            Follower(each, reads, self.positions, now=SettableClock().now, poll_seconds=0.2)
            for each in self.handlers
        ]
        self.part = JointPart("decide-0", self.followers)

    async def save(self, partition: str, position: str) -> None:
        for follower in self.followers:
            await self.positions.save(follower.name, partition, position, LEASE)

    def refuse(self, tenant: str, refusal: Refusal) -> None:
        """Whatever is asked in a tenant's partition."""

        def refused(headers: Mapping[str, str]) -> Refusal | None:
            key = json.loads(headers.get("x-ms-documentdb-partitionkey", "[]"))
            return refusal if key == [tenant] else None

        self.gate.refuses = refused

    def let_through(self) -> None:
        self.gate.refuses = lambda headers: None

    def runs(self) -> Sequence[list[str]]:
        return [handler.runs for handler in self.handlers]

    @asynccontextmanager
    async def following(self, within: float) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            with anyio.fail_after(within):
                await self.part.take_over(LEASE)
            tasks.start_soon(self.part.run, LEASE)
            yield
            self.part.stop()


@pytest.fixture
async def at(plain_cosmos: Account) -> AsyncIterator[Setting]:
    """Of each of two tenants an event was handled, and another one was not."""
    async with gate_before(plain_cosmos) as (gate, account), place_in(plain_cosmos) as place:
        with open_logs(cosmos_settings(plain_cosmos, place.name)) as logs:
            here = await run_sync(logs.store)
            await append(here, "a")
            await append(here, "x", stream=OTHER_STREAM)
            there = EventStore(await run_sync(OpenLogs(cosmos_settings(account, place.name)).open))
            at = Setting(here, there, gate)
            for tenant in (TENANT, OTHER_TENANT):
                await at.save(tenant, await here.head(tenant))
            await append(here, "b")
            await append(here, "y", stream=OTHER_STREAM)
            yield at
            there.close()


@pytest.mark.parametrize("refusal", [Refusal(403), THROTTLED], ids=["forbidden", "throttled"])
async def test_the_others_go_on_at_once_and_the_refused_one_when_it_is_back(
    at: Setting, refusal: Refusal
) -> None:
    at.refuse(TENANT, refusal)
    async with at.following(within=10):
        with anyio.fail_after(10):
            while at.runs() != [["y"]] * SEVERAL:
                await anyio.sleep(0.01)
        assert at.part.failing_seconds == 0.0, "no other instance would do better"
        at.let_through()
        with anyio.fail_after(40):
            while at.runs() != [["y", "b"]] * SEVERAL:
                await anyio.sleep(0.05)


async def test_a_position_that_could_not_be_compared_is_compared_later(at: Setting) -> None:
    await at.save(TENANT, "log-1-000000000000")
    at.refuse(TENANT, Refusal(403))
    async with at.following(within=5):
        await until(lambda: at.runs() == [["y"]] * SEVERAL)
        at.let_through()
        with anyio.fail_after(20):
            while not all({"a", "b"} <= set(runs) for runs in at.runs()):
                await anyio.sleep(0.05)


async def test_nobody_stands_in_line_for_one_that_was_refused_a_moment_ago(at: Setting) -> None:
    """Each would wait there for six seconds, and all that it is to do meanwhile with him."""
    async with at.following(within=10):
        await until(lambda: all(len(runs) == 2 for runs in at.runs()))
        at.refuse(TENANT, THROTTLED)
        await append(at.here, "c")
        at.there.notice(3, TENANT)
        for number in range(5):
            await anyio.sleep(2)
            await append(at.here, f"z{number}", stream=OTHER_STREAM)
            at.there.notice(3 + number, OTHER_TENANT)
        with anyio.fail_after(9):
            while {runs[-1] for runs in at.runs()} != {"z4"}:
                await anyio.sleep(0.01)


def test_one_that_gives_no_answer_is_not_waited_for_beside_others(
    cosmos: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.5)
    with open_logs(cosmos_settings(cosmos)) as logs:
        recorder = recorder_of(logs.open())
        for tenant in (TENANT, OTHER_TENANT):
            recorder.insert_events([event("a", 1, tenant)])
        at, answer = recorder._at, Event()

        def hanging(partition: str, id: int) -> Place | None:
            if partition == TENANT:
                answer.wait(20)
            return at(partition, id)

        monkeypatch.setattr(recorder, "_at", hanging)
        found = dict(recorder.at_each({TENANT: 1, OTHER_TENANT: 1}))
        answer.set()
    assert "no answer in time" in str(found.pop(TENANT))
    assert found == {OTHER_TENANT: (1, f"{OTHER_TENANT}/job/a", 1)}
