"""Runs that are asked for, on a real log: the commands, the policy, the timers, and each of them twice."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from application.deciders import Committed
from application.pacing import StartPace
from application.pasts import Past
from application.policies.concurrency import AT_ONCE, ConcurrencyGroups, in_turns
from application.workflow_commands import CancelWorkflow, FailStep, RetryWorkflow
from domain.concurrency import StartGranted
from domain.definition import OPPORTUNITY_ANALYSIS, WorkflowDefinition
from domain.errors import (
    NothingFailed,
    StoreUnavailable,
    TooManyWaiting,
    WorkflowAlreadyRunning,
    WorkflowNotEnded,
)
from domain.workflow import workflow_stream
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.timers import SqliteTimers
from projections.executions import Executions
from projections.projection import document_of
from projections.workflows import Workflows
from tests.application.logs import open_logs, sqlite_settings
from tests.application.orchestrator import Orchestrator
from tests.builders import LEASE, NOW, OTHER_TENANT, TENANT, SettableClock, metadata, recorded
from tests.samples_concurrency import START

pytestmark = pytest.mark.anyio


@pytest.fixture
def pace() -> StartPace:
    return StartPace(1000, burst=1000)


@pytest.fixture(params=[False, True], ids=["once", "everything twice"])
async def service(
    tmp_path: Path, pace: StartPace, request: pytest.FixtureRequest
) -> AsyncIterator[Orchestrator]:
    database = SqliteDatabase(tmp_path / "timers.db", synchronous="NORMAL")
    with open_logs(sqlite_settings(tmp_path)) as logs:
        timers = SqliteTimers(database)
        await timers.create()
        yield Orchestrator(logs.store(), timers, SettableClock(), pace, twice=request.param)
        database.close()


async def test_a_burst_is_one_run_and_one_more_after_it(service: Orchestrator) -> None:
    for number in range(100):
        await service.ask(f"w-{number}", "opportunity-analysis")
    await service.settle()
    assert await service.statuses() == {"w-0": "running"}
    assert await service.group_events(OPPORTUNITY_ANALYSIS) == ["StartGranted", "StartQueued"]

    await service.complete("w-0", *(step.step_type for step in OPPORTUNITY_ANALYSIS.steps))
    await service.settle()
    assert await service.statuses() == {"w-0": "completed", "w-1": "running"}
    await service.complete("w-1", *(step.step_type for step in OPPORTUNITY_ANALYSIS.steps))
    await service.settle()
    assert await service.statuses() == {"w-0": "completed", "w-1": "completed"}
    expected = ["StartGranted", "StartQueued", "RunEnded", "StartGranted", "RunEnded"]
    assert await service.group_events(OPPORTUNITY_ANALYSIS) == expected


async def test_other_opportunities_and_tenants_do_not_wait(service: Orchestrator) -> None:
    await service.ask("w-1")
    await service.ask("w-2", opportunity_id="opp-2")
    await service.ask("w-3", tenant=OTHER_TENANT)
    await service.settle()
    assert await service.statuses() == {"w-1": "running", "w-2": "running"}
    assert await service.statuses(OTHER_TENANT) == {"w-3": "running"}


async def test_the_run_is_on_behalf_of_whoever_asked(service: Orchestrator) -> None:
    await service.ask("w-1")
    await service.ask("w-2")
    await service.settle()
    await service.complete("w-1")
    await service.settle()
    first, *_ = await service.store.load(workflow_stream(TENANT, "w-2"))
    asked = metadata()
    assert (first.meta.actor, first.meta.correlation_id, first.meta.causation_id) == (
        asked.actor,
        asked.correlation_id,
        asked.causation_id,
    )


@pytest.mark.parametrize("how", ["fails", "is cancelled", "is undone", "cannot be undone"])
async def test_the_next_begins_however_the_run_ends(service: Orchestrator, how: str) -> None:
    await service.ask("w-1")
    await service.ask("w-2")
    await service.settle()
    undone = how in ("is undone", "cannot be undone")
    if undone:
        await service.complete("w-1", "book")
    if how == "is cancelled":
        await service.give(CancelWorkflow(meta=metadata(), workflow_id="w-1", reason="no"))
    else:
        await service.give(FailStep(meta=metadata(), workflow_id="w-1", step="work", error="no"))
    await service.settle()
    if undone:
        assert await service.statuses() == {"w-1": "compensating"}, "the next waits until it is undone"
        step = "book.compensation"
        if how == "is undone":
            await service.complete("w-1", step)
        else:
            await service.give(FailStep(meta=metadata(), workflow_id="w-1", step=step, error="no"))
        await service.settle()
    assert (await service.statuses())["w-2"] == "running"


async def test_where_the_definition_has_gone_the_next_is_not_kept_waiting(service: Orchestrator) -> None:
    await service.ask("w-1")
    await service.ask("w-2", explicit=True)
    await service.ask("w-3")
    await service.settle()
    assert await service.statuses() == {"w-1": "running", "w-2": "pending"}
    shipped = service.definitions.shipped
    find = shipped.find

    async def gone_once(tenant: str, name: str, version: int | None) -> WorkflowDefinition:
        shipped.find = find if not service.twice else gone_again  # type: ignore[method-assign]
        return await find(tenant, "gone", version)

    async def gone_again(tenant: str, name: str, version: int | None) -> WorkflowDefinition:
        shipped.find = find  # type: ignore[method-assign]
        return await find(tenant, "gone", version)

    await service.complete("w-1")
    shipped.find = gone_once  # type: ignore[method-assign]
    await service.settle()
    assert await service.statuses() == {"w-1": "completed", "w-2": "cancelled", "w-3": "running"}


async def test_a_workflow_that_is_tried_again_later_holds_nobody_up(service: Orchestrator) -> None:
    await service.ask("w-1")
    await service.ask("w-2")
    await service.settle()
    await service.give(FailStep(meta=metadata(), workflow_id="w-1", step="work", error="no"))
    await service.settle()
    await service.give(RetryWorkflow(meta=metadata(), workflow_id="w-1"))
    await service.complete("w-1")
    await service.settle()
    assert (await service.statuses())["w-2"] == "running"
    await service.ask("w-3")
    await service.settle()
    assert "w-3" not in await service.statuses()


async def test_an_explicit_start_is_answered_with_its_workflow(service: Orchestrator) -> None:
    started = await service.ask("w-1", explicit=True)
    assert (started.stream, started.past.state.status) == (workflow_stream(TENANT, "w-1"), "running")
    queued = await service.ask("w-2", explicit=True)
    assert (queued.stream, queued.past.state.status) == (workflow_stream(TENANT, "w-2"), "pending")
    await service.ask("w-3", explicit=True)
    await service.settle()
    assert await service.statuses() == {"w-1": "running", "w-2": "pending", "w-3": "pending"}
    await service.complete("w-1")
    await service.settle()
    assert await service.statuses() == {"w-1": "completed", "w-2": "running", "w-3": "pending"}


async def test_a_waiting_workflow_has_a_document_and_keeps_its_time_of_creation(
    service: Orchestrator,
) -> None:
    await service.ask("w-1", explicit=True)
    await service.ask("w-2", explicit=True, input={"n": 1})
    await service.settle()
    stream = workflow_stream(TENANT, "w-2")
    waiting = msgspec.json.decode(document_of(Workflows(), "w-2", await service.store.load(stream)))
    assert waiting["status"] == "pending"
    assert waiting["steps"] == []
    assert waiting["input"] == {"n": 1}
    assert "startedAt" not in waiting
    service.clock.advance(minutes=5)
    await service.complete("w-1")
    await service.settle()
    running = msgspec.json.decode(document_of(Workflows(), "w-2", await service.store.load(stream)))
    assert running["status"] == "running"
    assert len(running["steps"]) == 2
    assert running["createdAt"] == waiting["createdAt"] < running["startedAt"]


async def test_a_waiting_workflow_that_is_cancelled_never_starts(service: Orchestrator) -> None:
    await service.ask("w-1", explicit=True)
    await service.ask("w-2", explicit=True)
    await service.give(CancelWorkflow(meta=metadata(), workflow_id="w-2", reason="changed my mind"))
    await service.settle()
    await service.complete("w-1")
    await service.settle()
    assert await service.statuses() == {"w-1": "completed", "w-2": "cancelled"}
    events = await service.store.load(workflow_stream(TENANT, "w-2"))
    document = msgspec.json.decode(document_of(Workflows(), "w-2", events))
    assert (document["status"], document["reason"]) == ("cancelled", "changed my mind")
    executions = Executions()
    assert all(executions.apply({}, each) == {} for each in events if executions.reads(each.event))
    await service.ask("w-3")
    await service.settle()
    assert (await service.statuses())["w-3"] == "running"


async def test_a_waiting_workflow_cannot_be_retried(service: Orchestrator) -> None:
    await service.ask("w-1", explicit=True)
    await service.ask("w-2", explicit=True)
    with pytest.raises(WorkflowNotEnded):
        await service.give(RetryWorkflow(meta=metadata(), workflow_id="w-2"))
    await service.give(CancelWorkflow(meta=metadata(), workflow_id="w-2", reason="no"))
    with pytest.raises(NothingFailed):
        await service.give(RetryWorkflow(meta=metadata(), workflow_id="w-2"))


async def test_an_explicit_start_may_be_refused(service: Orchestrator) -> None:
    await service.ask("w-1", "skipping", explicit=True)
    with pytest.raises(WorkflowAlreadyRunning):
        await service.ask("w-2", "skipping", explicit=True)
    await service.ask("w-3", "skipping")
    await service.settle()
    assert await service.statuses() == {"w-1": "running"}


async def test_only_so_many_wait(service: Orchestrator) -> None:
    for number in range(101):
        await service.ask(f"w-{number}", explicit=True)
    with pytest.raises(TooManyWaiting):
        await service.ask("w-101", explicit=True)


async def test_a_replaced_run_is_cancelled_before_the_next_begins(service: Orchestrator) -> None:
    await service.ask("w-1", "replacing")
    await service.settle()
    await service.ask("w-2", "replacing", input={"n": 2})
    await service.ask("w-3", "replacing", input={"n": 3})
    await service.settle()
    assert await service.statuses() == {"w-1": "cancelled", "w-2": "running"}
    started, *_ = await service.store.load(workflow_stream(TENANT, "w-2"))
    assert started.event.input == {"n": 3}  # type: ignore[attr-defined]
    await service.ask("w-4", "replacing", explicit=True)
    await service.settle()
    assert await service.statuses() == {"w-1": "cancelled", "w-2": "cancelled", "w-4": "running"}


async def test_of_explicit_starts_that_replace_each_other_the_last_one_runs(service: Orchestrator) -> None:
    for number in range(1, 4):
        await service.ask(f"w-{number}", "replacing", explicit=True)
    await service.settle()
    assert await service.statuses() == {"w-1": "cancelled", "w-2": "cancelled", "w-3": "running"}


async def test_a_debounced_start_waits_for_its_time_whatever_restarts(service: Orchestrator) -> None:
    await service.ask("w-1", "debounced")
    await service.settle()
    service.clock.advance(seconds=6)
    await service.ask("w-2", "debounced", input={"n": 2})
    await service.settle()
    service.clock.advance(seconds=5)
    await service.settle()
    assert await service.statuses() == {}
    service.clock.advance(seconds=5)
    await service.settle()
    assert await service.statuses() == {"w-1": "running"}
    started, *_ = await service.store.load(workflow_stream(TENANT, "w-1"))
    assert started.event.input == {"n": 2}  # type: ignore[attr-defined]


async def test_runs_that_may_overlap_have_no_group(service: Orchestrator) -> None:
    await service.ask("w-1", "allowing")
    await service.ask("w-2", "allowing")
    await service.ask("w-3", "allowing", explicit=True)
    await service.settle()
    statuses = await service.statuses()
    assert statuses == {"w-3": "running", "w-1": "running", "w-2": "running"}
    started, *_ = await service.store.load(workflow_stream(TENANT, "w-1"))
    assert started.event.concurrency_group is None  # type: ignore[attr-defined]


async def test_runs_are_of_one_group_by_their_key(service: Orchestrator) -> None:
    await service.ask("w-1", "keyed", input={"region": "eu"})
    await service.ask("w-2", "keyed", input={"region": "eu"}, opportunity_id="opp-2")
    await service.ask("w-3", "keyed", input={"region": "us"})
    await service.settle()
    assert await service.statuses() == {"w-1": "running", "w-3": "running"}


async def test_a_group_is_not_kept_waiting_by_a_workflow_of_another_group(service: Orchestrator) -> None:
    await service.ask("w-1", "keyed", input={"region": "eu"}, command="m-1")
    await service.ask("w-1", "keyed", input={"region": "us"}, command="m-2")
    await service.settle()
    await service.ask("w-2", "keyed", input={"region": "eu"})
    await service.ask("w-3", "keyed", input={"region": "us"})
    await service.settle()
    assert await service.statuses() == {"w-1": "running", "w-3": "running"}


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
async def test_a_group_is_not_kept_waiting_by_a_workflow_that_has_ended(
    service: Orchestrator, how: str
) -> None:
    await service.ask("w-1", command="m-1")
    await service.settle()
    match how:
        case "completed":
            await service.complete("w-1")
        case "failed":
            await service.give(FailStep(meta=metadata(), workflow_id="w-1", step="work", error="no"))
        case _:
            await service.give(CancelWorkflow(meta=metadata(), workflow_id="w-1", reason="no"))
    await service.settle()
    await service.ask("w-1", command="m-2")
    await service.ask("w-2")
    await service.settle()
    assert await service.statuses() == {"w-1": how, "w-2": "running"}


class TestAFlood:
    """One tenant asks for far more than its share."""

    @pytest.fixture
    def pace(self) -> StartPace:
        return StartPace(10, burst=20)

    async def test_what_is_over_a_tenant_s_share_waits_for_its_turn(self, service: Orchestrator) -> None:
        for number in range(60):
            await service.ask(f"w-{number}", opportunity_id=f"opp-{number}")
        await service.ask("other", tenant=OTHER_TENANT)
        await service.settle()
        at_once = len(await service.statuses())
        assert 20 <= at_once <= 22
        assert await service.statuses(OTHER_TENANT) == {"other": "running"}
        service.clock.advance(seconds=1)
        await service.settle()
        assert 29 <= len(await service.statuses()) <= 32
        service.clock.advance(seconds=4)
        await service.settle()
        assert len(await service.statuses()) == 60

    async def test_what_is_coalesced_takes_no_share(self, service: Orchestrator) -> None:
        for number in range(60):
            await service.ask(f"w-{number}")
        await service.ask("another", opportunity_id="opp-2")
        await service.settle()
        assert await service.statuses() == {"w-0": "running", "another": "running"}

    async def test_of_a_batch_the_tenants_take_turns(self, service: Orchestrator) -> None:
        for number in range(15):
            await service.ask(f"w-{number}", opportunity_id=f"opp-{number}")
        await service.ask("other", tenant=OTHER_TENANT)
        (partition,) = await service.store.partitions()
        batch = await service.store.read(partition, None, 1000)
        assert batch is not None
        order = [streams[0].meta.tenant for streams in in_turns(batch.events)]
        assert order.index(OTHER_TENANT) == 1
        assert len(order) == 16


async def test_the_events_of_a_stream_are_acted_on_in_their_order() -> None:
    streams = [f"{tenant}/concurrency/d/{each}" for tenant in (TENANT, OTHER_TENANT) for each in range(3)]
    events = [
        each
        for version in range(1, 4)
        for stream in streams
        for each in recorded(stream, [_granted(stream)], first_version=version)
    ]
    turns = list(in_turns(events))
    assert [[each.version for each in stream] for stream in turns] == [[1, 2, 3]] * 6
    assert [stream[0].stream for stream in turns] == [
        stream for pair in zip(streams[:3], streams[3:], strict=True) for stream in pair
    ]


async def test_one_that_fails_does_not_keep_the_others_back() -> None:
    done: list[str] = []

    async def dispatch(command: Any) -> Any:
        if command.workflow_id == "group-0":
            raise StoreUnavailable("away")
        done.append(command.workflow_id)
        return Committed("s", Past(), (), "", 0)

    streams = [f"{TENANT}/concurrency/d/{each}" for each in range(AT_ONCE * 2)]
    events = [each for n, stream in enumerate(streams) for each in recorded(stream, [_granted(f"group-{n}")])]
    with pytest.raises(StoreUnavailable):
        await ConcurrencyGroups(dispatch, None).handle(events, LEASE)  # type: ignore[arg-type]
    assert len(done) == AT_ONCE * 2 - 1


def _granted(workflow_id: str) -> StartGranted:
    start = msgspec.structs.replace(START, workflow_id=workflow_id, policy="allow")
    return StartGranted(group="d/1", start=start, granted_at=NOW)
