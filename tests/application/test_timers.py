"""Due timers become commands: on real SQLite timers and a real log."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from application import timers as timers_module
from application.catalogue import ShippedDefinitions
from application.command import Command
from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.event_store import EventStore
from application.policies.workflow_timers import COMMANDS, STEP_DEADLINE, WorkflowTimers
from application.ports import Timer
from application.timers import DueTimers
from application.workflow_commands import CompleteStep, StartWorkflow, TimeOutStep
from application.workflows import WorkflowHandlers
from domain.definition import OPPORTUNITY_ANALYSIS
from domain.errors import StoreUnavailable, TooMuchAtOnce, WorkflowNotFound
from domain.event import Recorded
from domain.workflow import StepFailed, WorkflowFailed, workflow_stream
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.timers import SqliteTimers
from tests.application.logs import open_logs, sqlite_settings
from tests.builders import LEASE, TENANT, SettableClock, after, metadata

pytestmark = pytest.mark.anyio

STREAM = workflow_stream(TENANT, "w-1")


class Service:
    """What timers need, on files below a folder; it may be opened again on the same ones."""

    def __init__(self, store: EventStore, database: SqliteDatabase, clock: SettableClock) -> None:
        self.store = store
        self.clock = clock
        self.timers = SqliteTimers(database)
        self.dispatch = Dispatcher(
            WorkflowHandlers(store, clock, ShippedDefinitions([OPPORTUNITY_ANALYSIS])).handlers()
        )
        self.due_timers = DueTimers(self.timers, clock, self.dispatch, COMMANDS)

    async def start_workflow(self) -> tuple[Recorded, ...]:
        committed = await self.dispatch(
            StartWorkflow(
                meta=metadata(), workflow_id="w-1", opportunity_id="o", definition="opportunity-analysis"
            )
        )
        await WorkflowTimers(self.timers).handle(committed.new, LEASE)
        return committed.new

    async def timed_out_steps(self) -> list[str]:
        return [
            event.step_type
            for recorded in await self.store.load(STREAM)
            if isinstance(event := recorded.event, StepFailed)
        ]


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
async def service(tmp_path: Path, clock: SettableClock) -> AsyncIterator[Service]:
    database = SqliteDatabase(tmp_path / "timers.db", synchronous="NORMAL")
    with open_logs(sqlite_settings(tmp_path)) as logs:
        service = Service(logs.store(), database, clock)
        await service.timers.create()
        yield service
        database.close()


def timer(
    id: str, workflow: str = "w-1", step: str = "forecast", minutes: float = 15, tenant: str = TENANT
) -> Timer:
    return Timer(
        id=id,
        due_at=after(minutes=minutes),
        kind=STEP_DEADLINE,
        payload={"workflow_id": workflow, "step_type": step, "attempt": 1},
        meta=metadata(command_id=id, tenant=tenant),
    )


async def test_nothing_fires_before_its_time(service: Service) -> None:
    await service.start_workflow()
    service.clock.advance(minutes=15, milliseconds=-1)
    assert await service.due_timers.fire(LEASE) == 0
    assert await service.timed_out_steps() == []


async def test_what_is_due_fires_once(service: Service) -> None:
    await service.start_workflow()
    service.clock.advance(minutes=15)
    assert await service.due_timers.fire(LEASE) == 4
    assert sorted(await service.timed_out_steps()) == sorted(
        step.step_type for step in OPPORTUNITY_ANALYSIS.steps
    )
    ends = [each for each in await service.store.load(STREAM) if isinstance(each.event, WorkflowFailed)]
    assert len(ends) == 1
    assert await service.due_timers.fire(LEASE) == 0


async def test_a_step_that_was_answered_in_time_does_not_time_out(service: Service) -> None:
    await service.start_workflow()
    answer = CompleteStep(meta=metadata(), workflow_id="w-1", step="forecast", result={})
    await WorkflowTimers(service.timers).handle((await service.dispatch(answer)).new, LEASE)
    service.clock.advance(hours=1)
    assert await service.due_timers.fire(LEASE) == 3
    assert "forecast" not in await service.timed_out_steps()


async def test_a_timer_whose_command_is_refused_is_logged_and_forgotten(service: Service) -> None:
    await service.start_workflow()
    await service.timers.change(set=[timer("lost", workflow="w-2", minutes=-1)], cancel=(), lease=LEASE)
    with capture_logs() as logs:
        assert await service.due_timers.fire(LEASE) == 1
    (entry,) = [each for each in logs if each["event"] == "timer_refused"]
    assert (entry["timer"], entry["kind"]) == ("lost", STEP_DEADLINE)
    assert "w-2" in entry["reason"]
    assert await service.due_timers.fire(LEASE) == 0


@pytest.mark.parametrize("hours", [3, -3])
async def test_a_clock_that_is_set_is_told(service: Service, hours: int) -> None:
    told_back: list[None] = []
    service.due_timers = DueTimers(
        service.timers,
        service.clock,
        service.dispatch,
        COMMANDS,
        count_set_back=lambda: told_back.append(None),
    )
    with capture_logs() as logs:
        for _ in range(2):
            await service.due_timers.fire(LEASE)
            service.clock.advance(seconds=30)
        assert logs == []
        service.clock.advance(hours=hours)
        for _ in range(2):
            await service.due_timers.fire(LEASE)
    (told,) = logs
    assert (told["event"], round(told["seconds"] / 3600, 1)) == ("clock_set", hours)
    assert told["log_level"] == ("warning" if hours > 0 else "error"), "somebody has to look"
    assert len(told_back) == (hours < 0)


async def test_a_refused_timer_does_not_keep_the_others_from_firing(service: Service) -> None:
    await service.start_workflow()
    await service.timers.change(set=[timer("lost", workflow="w-2", minutes=-1)], cancel=(), lease=LEASE)
    service.clock.advance(minutes=15)
    assert await service.due_timers.fire(LEASE) == 5
    assert len(await service.timed_out_steps()) == 4


@pytest.mark.parametrize(
    "error", [TypeError("no such thing"), TooMuchAtOnce("100 events")], ids=["odd", "much"]
)
async def test_a_timer_that_breaks_comes_again_later_and_keeps_nobody_waiting(
    service: Service, error: Exception
) -> None:
    await service.start_workflow()
    broken = [timer(f"t-{number}", step="broken") for number in range(60)]
    await service.timers.change(set=broken, cancel=(), lease=LEASE)
    working, tries = service.dispatch, 0

    async def dispatch(command: Command) -> Committed:
        nonlocal tries
        if isinstance(command, TimeOutStep) and command.step == "broken":
            tries += 1
            raise error
        return await working(command)

    due_timers = DueTimers(service.timers, service.clock, dispatch, COMMANDS)  # type: ignore[arg-type]
    service.clock.advance(minutes=15)
    with capture_logs() as logs:
        assert await due_timers.fire(LEASE) == 4
        assert await due_timers.fire(LEASE) == 0
    assert (tries, {each["event"] for each in logs}) == (60, {"timer_broke"})
    service.clock.advance(minutes=1)
    assert await service.due_timers.fire(LEASE) == 60, (
        "it has come again, and is refused: there is no such step"
    )


async def test_where_tenants_fail_apart_those_of_one_that_is_away_keep_nobody_waiting(
    service: Service,
) -> None:
    """More of them are due, and for longer, than one look takes."""
    await service.start_workflow()
    away = [timer(f"t-{number}", workflow="w-2", minutes=1) for number in range(60)]
    await service.timers.change(set=away, cancel=(), lease=LEASE)
    working, is_away = service.dispatch, True

    async def dispatch(command: Command) -> Committed:
        if is_away and isinstance(command, TimeOutStep) and command.workflow_id == "w-2":
            raise StoreUnavailable("429")
        return await working(command)

    due_timers = DueTimers(service.timers, service.clock, dispatch, COMMANDS, tenants_fail_apart=True)  # type: ignore[arg-type]
    service.clock.advance(minutes=15)
    with capture_logs() as logs:
        assert await due_timers.fire(LEASE) == 4
    assert len(await service.timed_out_steps()) == 4
    assert [each["event"] for each in logs] == ["timer_postponed"] * 60
    is_away = False
    service.clock.advance(seconds=15)
    assert await due_timers.fire(LEASE) == 60, "they have come again, and are refused: there is no w-2"


async def test_a_crash_after_the_command_and_before_the_forgetting_has_no_second_effect(
    service: Service,
) -> None:
    await service.start_workflow()
    service.clock.advance(minutes=15)
    due = await service.timers.due(service.clock.now(), 100)
    await service.due_timers.fire(LEASE)
    version = len(await service.store.load(STREAM))
    await service.timers.change(set=due, cancel=(), lease=LEASE)
    service.clock.advance(minutes=1)
    assert await service.due_timers.fire(LEASE) == 4
    assert len(await service.store.load(STREAM)) == version


async def test_a_timer_that_is_set_anew_while_its_command_is_given_is_not_forgotten_with_it(
    service: Service,
) -> None:
    """As the look at who is left to approve is by a revision."""
    await service.start_workflow()
    await service.timers.change(set=[timer("t", workflow="w-2", minutes=1)], cancel=(), lease=LEASE)
    anew = timer("t", minutes=20)
    working = service.dispatch

    async def dispatch(command: Command) -> Committed:
        await service.timers.change(set=[anew], cancel=(), lease=LEASE)
        return await working(command)

    due_timers = DueTimers(service.timers, service.clock, dispatch, COMMANDS)  # type: ignore[arg-type]
    service.clock.advance(minutes=1)
    with capture_logs():
        await due_timers.fire(LEASE)
    assert [each for each in await service.timers.due(after(hours=1), 10) if each.id == "t"] == [anew]


async def test_timers_that_came_due_while_nobody_ran_fire_at_the_next_start(
    service: Service, tmp_path: Path
) -> None:
    await service.start_workflow()
    database = SqliteDatabase(tmp_path / "timers.db", synchronous="NORMAL")
    restarted = Service(service.store, database, SettableClock(after(hours=10)))
    assert await restarted.due_timers.fire(LEASE) == 4
    assert len(await restarted.timed_out_steps()) == 4
    database.close()


async def test_when_the_store_is_away_the_timer_stays_due(service: Service) -> None:
    await service.start_workflow()
    service.clock.advance(minutes=15)
    service.store.close()
    with pytest.raises(StoreUnavailable):
        await service.due_timers.fire(LEASE)
    assert len(await service.timers.due(service.clock.now(), 100)) == 4


async def test_more_timers_than_one_look_takes_all_fire(service: Service) -> None:
    await service.timers.change(
        set=[timer(f"t-{number}", workflow="w-2", minutes=-1) for number in range(230)],
        cancel=(),
        lease=LEASE,
    )
    with capture_logs():
        assert await service.due_timers.fire(LEASE) == 230


@pytest.mark.parametrize("rest", [0.0, 1_000_000.0])
async def test_masses_of_some_tenants_keep_no_other_waiting(
    service: Service, monkeypatch: pytest.MonkeyPatch, rest: float
) -> None:
    """Neither what is behind them, nor, but for a rest, what comes behind them while they are fired."""
    monkeypatch.setattr(timers_module, "_REST_FOR_A_SECOND", rest)
    tenants = [f"mass-{number}" for number in range(3)]
    masses = [timer(f"{tenant} {number}", tenant=tenant) for tenant in tenants for number in range(400)]
    last = timer("last", minutes=16, tenant="a-few")
    await service.timers.change(set=[*masses, last], cancel=(), lease=LEASE)
    fired: list[str] = []

    async def dispatch(command: Command) -> Committed:
        fired.append(command.meta.command_id)
        if command.meta.command_id == "mass-1 30":
            late = [timer("late", tenant="another", minutes=17)]
            await service.timers.change(set=late, cancel=(), lease=LEASE)
        raise WorkflowNotFound("none of them is there")

    due_timers = DueTimers(service.timers, service.clock, dispatch, COMMANDS)  # type: ignore[arg-type]
    service.clock.advance(hours=1)
    with capture_logs():
        assert await due_timers.fire(LEASE) == 1_202
    assert len(set(fired)) == len(fired) == 1_202
    assert fired.index("last") < 200
    assert (fired.index("late") == 1_201) == (rest > 0), "to look past a mass takes a while"


async def test_a_deadline_between_two_milliseconds_is_not_fired_too_early_and_lost(service: Service) -> None:
    plan = OPPORTUNITY_ANALYSIS.with_timeouts(0.0015)
    service.dispatch = Dispatcher(
        WorkflowHandlers(service.store, service.clock, ShippedDefinitions([plan])).handlers()
    )
    service.due_timers = DueTimers(service.timers, service.clock, service.dispatch, COMMANDS)
    await service.start_workflow()
    for _ in range(3):
        service.clock.advance(milliseconds=1)
        await service.due_timers.fire(LEASE)
    assert len(await service.timed_out_steps()) == 4
