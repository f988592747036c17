"""Backfills go on by themselves, and no run is opened twice, whatever is handed out again or killed."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from application.backfill_commands import BeginBackfill, CancelBackfill, CompleteWindow, LeaveBackfills
from application.command import Command
from application.job_commands import FireJob, TriggerJob
from domain.backfill import MOST_UNFINISHED, BackfillWindowFailed, backfill_stream
from domain.errors import BadInput, IdempotencyKeyReused, JobNotFound, TooManyBackfills
from domain.job import JobDefinition, JobPolicy, Retries, Schedule
from domain.values import SYSTEM_TENANT
from tests.application.backfilling import Killed, backfilling
from tests.builders import metadata
from tests.domain.backfill.asked import JOB, day, plan

pytestmark = pytest.mark.anyio

DATE = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
DATES = {"type": "object", "properties": {"from": DATE, "to": DATE}}
NEEDY = JobDefinition(
    name=JOB,
    schedule=Schedule(cron="0 1 * * 0", time_zone="UTC"),
    metadata_schema={"type": "object", "required": ["tenantIds"]},
)
SINCE = [[NEEDY], []]
RETRIED = JobPolicy(retries=Retries(attempts=3, delay_seconds=60))


def windows() -> list[str]:
    """The ids of the runs of the five windows."""
    return [each.run_id for each in plan().windows()]


async def test_windows_run_one_after_the_other_to_the_end(tmp_path: Path) -> None:
    async with backfilling(tmp_path) as running:
        await running.request(metadata={"tenantIds": ["t"]})
        await running.settle()
        for run_id in windows():
            assert [each.fired.run_id for each in (await running.job()).open_runs] == [run_id]
            await running.report(run_id)
        fired = await running.fired()
        assert (await running.backfill()).outcome == "completed"
    assert [each.run_id for each in fired] == windows()
    assert fired[1].metadata == {"tenantIds": ["t"], "from": "2026-01-02", "to": "2026-01-03"}
    assert {(each.triggered_by, each.backfill_id) for each in fired} == {("backfill", "b-1")}


async def test_a_report_is_of_the_run_that_it_names_and_not_of_the_newest(tmp_path: Path) -> None:
    async with backfilling(tmp_path) as running:
        await running.request(max_active=3)
        await running.settle()
        await running.report(windows()[0])
        still_open = [each.fired.run_id for each in (await running.job()).open_runs]
    assert still_open == windows()[1:4]


async def test_a_run_that_is_tried_again_is_the_same_window(tmp_path: Path) -> None:
    async with backfilling(tmp_path, policy=RETRIED) as running:
        await running.request(ends_at=day(3))
        await running.settle()
        await running.report(windows()[0], error="no disk")
        assert [each.number for each in (await running.backfill()).open] == [1]
        await running.pass_time(minutes=1)
        first, again = await running.fired()
        assert again.retry_of == first.run_id
        await running.report(again.run_id)
        assert [each.number for each in (await running.backfill()).open] == [2]
        await running.finish()
        assert (await running.backfill()).outcome == "completed"


async def test_a_window_has_failed_when_its_last_attempt_has(tmp_path: Path) -> None:
    async with backfilling(tmp_path, policy=RETRIED) as running:
        await running.request(ends_at=day(3))
        await running.settle()
        for minutes in (1, 2, 0):
            await running.report((await running.job()).open_runs[0].fired.run_id, error="no disk")
            await running.pass_time(minutes=minutes)
        await running.finish()
        (failed,) = [
            each
            for each in await running.events(backfill_stream("b-1"))
            if isinstance(each, BackfillWindowFailed)
        ]
        assert (await running.backfill()).outcome == "completed_with_failures"
    assert (failed.number, failed.reason, failed.error) == (1, "failed", "no disk")


async def test_a_run_that_nobody_reports_times_out_and_the_next_window_starts(tmp_path: Path) -> None:
    async with backfilling(tmp_path, policy=JobPolicy(deadline_seconds=600)) as running:
        await running.request(ends_at=day(3))
        await running.settle()
        await running.pass_time(minutes=10)
        assert [each.number for each in (await running.backfill()).open] == [2]
        await running.report(windows()[0])
        await running.report(windows()[1])
        assert (await running.backfill()).outcome == "completed"


async def test_cron_fires_beside_a_backfill_and_a_backfill_beside_cron(tmp_path: Path) -> None:
    async with backfilling(tmp_path, policy=JobPolicy(overlap="skip")) as running:
        await running.request()
        await running.settle()
        fire = FireJob(meta=metadata(tenant=SYSTEM_TENANT), job=JOB, nominal_at=running.clock.now())
        await running.dispatch(fire)
        await running.settle()
        await running.report(windows()[0])
        by = [each.triggered_by for each in await running.fired()]
    assert by == ["backfill", "scheduler", "backfill"]


async def test_cancelled_it_waits_for_what_is_open_and_starts_nothing(tmp_path: Path) -> None:
    async with backfilling(tmp_path) as running:
        await running.request(max_active=2)
        await running.settle()
        cancel = CancelBackfill(
            meta=metadata(tenant=SYSTEM_TENANT), backfill_id="b-1", job=JOB, by="bob", reason="enough"
        )
        await running.dispatch(cancel)
        await running.finish()
        assert (await running.backfill()).outcome == "cancelled"
        assert [each.run_id for each in await running.fired()] == windows()[:2]


async def test_cancelled_it_tries_nothing_again_and_frees_its_place(tmp_path: Path) -> None:
    async with backfilling(tmp_path, policy=RETRIED) as running:
        for number in range(MOST_UNFINISHED):
            await running.request(f"b-{number}", ends_at=day(2))
        await running.settle()
        waits, open_run, *_ = [each.fired for each in (await running.job()).open_runs]
        await running.report(waits.run_id, error="no disk")
        for backfill_id in (waits.backfill_id, open_run.backfill_id):
            assert backfill_id is not None
            await running.dispatch(
                CancelBackfill(
                    meta=metadata(tenant=SYSTEM_TENANT),
                    backfill_id=backfill_id,
                    job=JOB,
                    by="bob",
                    reason="enough",
                )
            )
        await running.settle()
        assert (await running.backfill(waits.backfill_id or "")).outcome == "cancelled"
        assert (await running.backfill(open_run.backfill_id or "")).outcome is None
        await running.request("one more")
        await running.request("and another")
        await running.report(open_run.run_id, error="no disk")
        assert (await running.backfill(open_run.backfill_id or "")).outcome == "cancelled"
        await running.pass_time(minutes=2)
        assert [each for each in await running.fired() if each.retry_of is not None] == []


async def test_the_place_of_one_that_has_ended_is_free_for_another(tmp_path: Path) -> None:
    async with backfilling(tmp_path) as running:
        for number in range(MOST_UNFINISHED):
            await running.request(f"b-{number}", ends_at=day(2))
        with pytest.raises(TooManyBackfills):
            await running.request("one more")
        await running.finish()
        await running.request("one more")


async def test_one_that_was_admitted_begins_though_who_asked_was_killed_before(tmp_path: Path) -> None:
    async with backfilling(tmp_path) as running:
        meta = metadata(tenant=SYSTEM_TENANT, command_id="asked", request_digest="what")
        await running.admit(plan(), meta)
        await running.finish()
        history = await running.store.load(backfill_stream("b-1"))
        assert (await running.backfill()).outcome == "completed"
        another = metadata(tenant=SYSTEM_TENANT, command_id="asked", request_digest="else")
        with pytest.raises(IdempotencyKeyReused):
            await running.dispatch(BeginBackfill(meta=another, plan=plan()))
    assert history[0].meta == meta


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", [TriggerJob, CompleteWindow, BeginBackfill, LeaveBackfills])
async def test_a_kill_at_every_command_opens_no_run_twice(
    tmp_path: Path, moment: str, kind: type[Command]
) -> None:
    async with backfilling(tmp_path) as running:
        killed: set[str] = set()

        def kill(command: Command) -> bool:
            if not isinstance(command, kind) or command.meta.command_id in killed:
                return False
            killed.add(command.meta.command_id)
            return True

        setattr(running.dispatch, f"kill_{moment}", kill)
        with suppress(Killed):
            await running.request(max_active=2)
        await running.finish()
        assert killed
        assert (await running.backfill()).outcome == "completed"
        assert sorted(each.run_id for each in await running.fired()) == sorted(windows())


async def test_a_window_that_the_job_takes_no_more_fails_and_the_others_go_on(tmp_path: Path) -> None:
    async with backfilling(tmp_path) as running:
        await running.request(ends_at=day(3))
        running.configure()
        await running.settle()
        failed = [
            each
            for each in await running.events(backfill_stream("b-1"))
            if isinstance(each, BackfillWindowFailed)
        ]
        assert (await running.backfill()).outcome == "completed_with_failures"
    assert [(each.number, each.reason) for each in failed] == [(1, "refused"), (2, "refused")]
    assert failed[0].error == f"there is no job {JOB!r}"


async def test_a_window_whose_run_breaks_again_and_again_does_not_hold_up_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.policies.giving_up.TRIES", 1)
    async with backfilling(tmp_path) as running:

        def break_it(command: Command) -> bool:
            if isinstance(command, TriggerJob) and command.run_id == windows()[0]:
                raise RuntimeError("a bug")
            return False

        running.dispatch.kill_before = break_it
        await running.request(ends_at=day(3))
        await running.finish()
        assert (await running.backfill()).outcome == "completed_with_failures"
        assert [each.run_id for each in await running.fired()] == windows()[1:2]


@pytest.mark.parametrize(
    ("schema", "changes", "told"),
    [
        (DATES, {}, "2026-01-01"),
        (DATES, {"form": "moments"}, "2026-01-01"),
        ({}, {"form": "moments"}, "2026-01-01T00:00:00.000Z"),
        ({"properties": {"from": {"type": "string", "pattern": "Z$"}}}, {}, "2026-01-01T00:00:00.000Z"),
    ],
)
async def test_the_ends_of_windows_are_told_as_the_job_takes_them(
    tmp_path: Path, schema: dict[str, Any], changes: dict[str, Any], told: str
) -> None:
    async with backfilling(tmp_path, metadata_schema=schema) as running:
        await running.request(**changes)
        await running.settle()
        (fired,) = await running.fired()
    assert fired.metadata["from"] == told


@pytest.mark.parametrize(
    ("schema", "changes", "field"),
    [
        (
            {"properties": {"from": DATE}},
            {"form": "moments", "ends_at": day(6).replace(hour=1)},
            "metadata.from",
        ),
        ({"properties": {"to": {"type": "string", "pattern": "0[1-5]$"}}}, {}, "metadata.to"),
        ({"properties": {"to": {"maxLength": 10, "not": {"const": "2026-01-04"}}}}, {}, "metadata.to"),
        ({"additionalProperties": False, "properties": {"from": {}}}, {}, "metadata.to"),
        ({"required": ["tenantIds"]}, {}, "metadata.tenantIds"),
        ({}, {"metadata": {"from": "2026-01-01"}}, "metadata.from"),
    ],
)
async def test_what_any_window_may_not_say_is_refused_at_once(
    tmp_path: Path, schema: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    async with backfilling(tmp_path, metadata_schema=schema) as running:
        with pytest.raises(BadInput) as caught:
            await running.request(**changes)
        assert await running.events(backfill_stream("b-1")) == []
    assert [fault["field"] for fault in caught.value.details] == [field]


async def test_a_backfill_of_a_job_that_there_is_not_is_refused(tmp_path: Path) -> None:
    async with backfilling(tmp_path) as running:
        with pytest.raises(JobNotFound):
            await running.request(job="no-such-job")


@pytest.mark.parametrize("since", SINCE, ids=["it needs more", "it is gone"])
async def test_a_window_whose_run_is_open_is_not_refused_whatever_the_settings_say_since(
    tmp_path: Path, since: Sequence[JobDefinition]
) -> None:
    async with backfilling(tmp_path) as running:
        await running.request()
        await running.settle()
        running.configure(*since)
        running.follow_anew()
        await running.settle()
        assert (await running.backfill()).failed == 0
        assert [each.run_id for each in await running.fired()] == windows()[:1]


@pytest.mark.parametrize("since", SINCE, ids=["it needs more", "it is gone"])
async def test_a_request_is_answered_as_the_first_time_whatever_the_settings_say_since(
    tmp_path: Path, since: Sequence[JobDefinition]
) -> None:
    meta = metadata(tenant=SYSTEM_TENANT, command_id="asked", request_digest="what")
    async with backfilling(tmp_path) as running:
        first = await running.request(meta=meta)
        running.configure(*since)
        again = await running.request(meta=meta)
        assert (again.stream, again.version, again.new) == (first.stream, first.version, ())
        with pytest.raises(IdempotencyKeyReused):
            await running.request(meta=msgspec.structs.replace(meta, request_digest="else"))
        with pytest.raises((BadInput, JobNotFound)):
            await running.request("b-2")


@pytest.mark.parametrize("since", SINCE, ids=["it needs more", "it is gone"])
async def test_who_asks_again_for_one_that_was_admitted_is_told_that_it_begins_as_it_was_planned(
    tmp_path: Path, since: Sequence[JobDefinition]
) -> None:
    meta = metadata(tenant=SYSTEM_TENANT, command_id="asked", request_digest="what")
    async with backfilling(tmp_path) as running:
        await running.admit(plan(form="moments"), meta)
        running.configure(*since)
        await running.request(meta=meta)
        assert (await running.backfill()).plan == plan(form="moments")


async def test_it_ends_though_the_settings_name_its_job_no_more(tmp_path: Path) -> None:
    async with backfilling(tmp_path, policy=RETRIED) as running:
        await running.request(max_active=2)
        await running.settle()
        await running.report(windows()[0], error="no disk")
        running.configure()
        await running.report(windows()[1])
        await running.pass_time(minutes=1)
        ended = await running.backfill()
        failed = [
            (each.number, each.reason)
            for each in await running.events(backfill_stream("b-1"))
            if isinstance(each, BackfillWindowFailed)
        ]
    assert (ended.outcome, ended.started) == ("completed_with_failures", 5)
    assert sorted(failed) == [(number, "refused") for number in (1, 3, 4, 5)]
