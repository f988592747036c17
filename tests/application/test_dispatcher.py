"""One door for every command, one handler behind it for each type."""

from pathlib import Path

import pytest

from application import (
    approval_commands,
    definition_commands,
    delegation_commands,
    job_commands,
    task_commands,
    workflow_commands,
)
from application.approval_commands import ApprovalCommand
from application.catalogue import ShippedDefinitions
from application.command import Command
from application.concurrency import ConcurrencyHandlers
from application.deciders import Committed
from application.definitions import DefinitionHandlers
from application.dispatcher import Dispatcher
from application.event_log import EventLog
from application.event_store import EventStore
from application.job_commands import FireJob, JobCommand, TriggerJob
from application.jobs import JobHandlers
from application.pacing import StartPace
from application.pasts import Past
from application.task_commands import TaskCommand
from application.tasks import TaskHandlers
from application.workflows import WorkflowHandlers
from domain.definition import OPPORTUNITY_ANALYSIS
from domain.errors import JobNotFound
from tests.application.logs import sqlite_settings
from tests.approvals import approval_handlers
from tests.builders import NOW, SettableClock, metadata
from tests.jobs import jobs

pytestmark = pytest.mark.anyio


class Heard:
    """A handler that remembers."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    async def __call__(self, command: Command) -> Committed:
        self.commands.append(command)
        return Committed("stream", Past(), (), f"position-{len(self.commands)}", 0)


def trigger(job: str = "outcome-sync") -> TriggerJob:
    return TriggerJob(meta=metadata(), job=job, run_id="r-1", metadata={})


async def test_a_command_goes_to_the_handler_of_its_type_and_its_answer_comes_back() -> None:
    fired, triggered = Heard(), Heard()
    dispatch = Dispatcher({FireJob: fired}, {TriggerJob: triggered})
    command = trigger()
    assert (await dispatch(command)).position == "position-1"
    assert triggered.commands == [command]
    assert fired.commands == []


async def test_a_command_that_nobody_handles_is_a_mistake_in_the_wiring() -> None:
    with pytest.raises(KeyError):
        await Dispatcher({FireJob: Heard()})(trigger())


async def test_a_subclass_does_not_slip_through_to_its_parents_handler() -> None:
    class Special(TriggerJob, frozen=True, kw_only=True):
        pass

    with pytest.raises(KeyError):
        await Dispatcher({TriggerJob: Heard()})(
            Special(meta=metadata(), job="outcome-sync", run_id="r", metadata={})
        )


@pytest.fixture
def handled(tmp_path: Path) -> Dispatcher:
    store, clock = EventStore(EventLog(sqlite_settings(tmp_path))), SettableClock(NOW)
    shipped = ShippedDefinitions([OPPORTUNITY_ANALYSIS])
    workflows = WorkflowHandlers(store, clock, shipped)
    return Dispatcher(
        approval_handlers(store, clock),
        workflows.handlers(),
        ConcurrencyHandlers(store, clock, workflows, StartPace(1_000, burst=1_000)).handlers(),
        JobHandlers(store, clock, jobs()).handlers(),
        TaskHandlers(store, clock).handlers(),
        DefinitionHandlers(store, clock, shipped).handlers(),
    )


async def test_a_refusal_comes_through_the_door(handled: Dispatcher) -> None:
    with pytest.raises(JobNotFound):
        await handled(trigger("no-such-job"))


_COMMANDS = (
    approval_commands,
    definition_commands,
    delegation_commands,
    job_commands,
    task_commands,
    workflow_commands,
)
_BASES = (Command, TaskCommand, ApprovalCommand, JobCommand)


def test_every_command_has_one_handler(handled: Dispatcher) -> None:
    every = {
        each
        for module in _COMMANDS
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Command) and each not in _BASES
    }
    assert set(handled._handlers) == every
