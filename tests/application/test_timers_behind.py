"""A timer comes where a replica of the log does not have yet what it began with."""

from pathlib import Path

import pytest

from domain.workflow import StepFailed
from tests.application.instances import NEXT_TRY, STREAM, failed, started, two_instances
from tests.application.logs import UNVERIFIED, cosmos_settings
from tests.builders import TENANT, after, recorded
from tests.cosmos import Account
from tests.infrastructure.test_cosmos_lagging import Lagging
from tests.infrastructure.test_cosmos_segments import recorder_of
from tests.samples import SAMPLES

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, UNVERIFIED]


async def test_the_deadline_of_a_step_passes_where_a_replica_does_not_know_the_workflow(
    cosmos: Account, tmp_path: Path
) -> None:
    async with two_instances(cosmos_settings(cosmos), tmp_path) as (ordering, firing):
        Lagging(recorder_of(firing.log)._container, TENANT)
        await ordering.give(started())
        firing.clock.moment = after(seconds=30)
        assert await firing.fire() == 1
        assert (await ordering.state()).steps["a"].status == "retrying"


async def test_a_step_is_tried_again_where_a_replica_does_not_know_that_it_has_failed(
    cosmos: Account, tmp_path: Path
) -> None:
    async with two_instances(cosmos_settings(cosmos), tmp_path) as (ordering, firing):
        await ordering.give(started())
        Lagging(recorder_of(firing.log)._container, TENANT)
        await ordering.give(failed())
        firing.clock.moment = NEXT_TRY
        assert await firing.fire() == 1
        step = (await ordering.state()).steps["a"]
        assert (step.status, step.attempt) == ("running", 2)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_timer_of_another_log_is_forgotten_after_one_more_look(
    cosmos: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """This one has lost what it began with, or all of the workflow."""
    async with two_instances(cosmos_settings(cosmos), tmp_path) as (ordering, firing):
        new = await ordering.give(started()) if begun else ()
        failure = [each.event for each in SAMPLES.values() if isinstance(each.event, StepFailed)]
        await firing.keep_timers(recorded(STREAM, failure, first_version=9))
        caught_up: list[str] = []
        recorder = recorder_of(firing.log)
        real = recorder.catch_up

        def catch_up(partition: str) -> None:
            caught_up.append(partition)
            real(partition)

        monkeypatch.setattr(recorder, "catch_up", catch_up)
        firing.clock.moment = after(minutes=17)
        assert [await firing.fire(), await firing.fire()] == [1 + begun, 0]
        assert caught_up == [TENANT]
        assert len(await firing.store.load(STREAM)) == len(new) + begun
