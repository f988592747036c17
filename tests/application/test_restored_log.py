"""A log that was put back to a backup: what takes a lost event's place is new to whoever heard of it."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from application.dispatcher import Dispatcher
from application.job_commands import FireJob, JobCommand, TriggerJob
from application.jobs import JobHandlers
from application.outbox import Outbox
from application.policies.reaction import because_of
from domain.event import Metadata
from domain.job import job_stream
from domain.values import SYSTEM_TENANT
from tests.application.logs import open_logs, sqlite_settings
from tests.builders import LEASE, SettableClock, metadata
from tests.jobs import JOB, Broker, jobs

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 12, 24, 18, tzinfo=UTC)


def trigger(run: str) -> JobCommand:
    meta = metadata(tenant=SYSTEM_TENANT, command_id=f"request of {run}")
    return TriggerJob(meta=meta, job=JOB, run_id=run, metadata={})


SLOT = FireJob(meta=metadata(tenant=SYSTEM_TENANT, command_id="slot"), job=JOB, nominal_at=NOW)


async def told_of(folder: Path, *commands: JobCommand) -> tuple[list[str], list[Metadata]]:
    """The ids of the messages that a service sends which handles these commands, in this folder; and what a
    policy would say of its commands after each."""
    with open_logs(sqlite_settings(folder)) as logs:
        store = logs.store()
        clock = SettableClock(NOW)
        dispatch = Dispatcher(JobHandlers(store, clock, jobs()).handlers())
        broker, follow = Broker(), list[Metadata]()
        for command in commands:
            fired = (await dispatch(command)).new
            await Outbox(broker, dispatch).handle(fired, LEASE)
            follow += [because_of(each, "test") for each in fired]
        assert [each.version for each in await store.load(job_stream(JOB))]
        return broker.ids, follow


async def test_what_takes_a_lost_events_place_is_told_under_an_id_of_its_own(tmp_path: Path) -> None:
    for name in ("service", "restored"):
        (tmp_path / name).mkdir()
    before, _ = await told_of(tmp_path / "service", trigger("kept"))
    for file in (tmp_path / "service").iterdir():
        shutil.copy(file, tmp_path / "restored")

    (lost, again), of_lost = await told_of(tmp_path / "service", trigger("lost"), SLOT)
    (new, repeated), of_new = await told_of(tmp_path / "restored", trigger("new"), SLOT)

    assert new not in (*before, lost)
    assert repeated == again, "the slot is the same one, and its worker can tell"
    assert of_new[0].command_id != of_lost[0].command_id
    assert of_new[1].command_id == of_lost[1].command_id
    assert [each.causation_id for each in of_new] == [each.causation_id for each in of_lost]
