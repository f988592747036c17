"""A follower handles everything at least once, in order, under whatever comes between."""

import time
from collections.abc import Sequence

import anyio
import pytest
from structlog.testing import capture_logs

from domain.errors import StoreUnavailable
from domain.event import Recorded
from domain.lease import Lease
from infrastructure.memory.checkpoints import MemoryCheckpoints
from projections import follower as follower_module
from projections import patience
from tests.builders import LEASE, SettableClock
from tests.projections.fakes import PartitionedLog
from tests.projections.following import Setting, running, until

pytestmark = pytest.mark.anyio


async def test_it_handles_what_is_there_in_batches_and_in_order(at: Setting, log: PartitionedLog) -> None:
    log.append("one", *"abcdefg")
    await at.follower.catch_up(LEASE)
    assert at.handler.batches == [["a", "b", "c"], ["d", "e", "f"], ["g"]]
    assert at.follower.status.handled == 7


async def test_every_partition_has_a_position_of_its_own(
    at: Setting, log: PartitionedLog, positions: MemoryCheckpoints
) -> None:
    log.append("one", "a", "b")
    log.append("two", "x")
    await at.follower.catch_up(LEASE)
    log.append("two", "y")
    await at.follower.catch_up(LEASE)
    assert at.handler.batches == [["a", "b"], ["x"], ["y"]]
    one, two = [await positions.load("remembering", partition, LEASE) for partition in ("one", "two")]
    assert one == f"one/{log.events['one'][1].event_id}"
    assert two == f"two/{log.events['two'][1].event_id}"
    assert at.follower.positions == {"one": one, "two": two}


async def test_a_partition_that_fails_does_not_keep_the_others_back(
    at: Setting, log: PartitionedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = at.handler.handle

    async def choosy(events: Sequence[Recorded], lease: Lease) -> None:
        if events[0].stream.endswith("/one"):
            raise ValueError("poison")
        await handle(events, lease)

    monkeypatch.setattr(at.handler, "handle", choosy)
    log.append("one", "a")
    log.append("two", "x")
    with pytest.raises(ValueError, match="poison"):
        await at.follower.catch_up(LEASE)
    assert at.handler.runs == ["x"]
    assert at.follower.positions["one"] is None


async def test_a_partition_that_appears_later_is_followed_from_its_beginning(
    at: Setting, log: PartitionedLog
) -> None:
    log.append("one", "a")
    await at.follower.catch_up(LEASE)
    log.append("three", "x", "y")
    await at.follower.catch_up(LEASE)
    assert at.handler.runs == ["a", "x", "y"]


async def test_a_new_follower_goes_on_where_the_last_one_stopped(
    at: Setting, log: PartitionedLog, positions: MemoryCheckpoints, clock: SettableClock
) -> None:
    log.append("one", "a")
    log.append("two", "x")
    await at.follower.catch_up(LEASE)
    log.append("one", "b")
    restarted = Setting(log, positions, clock)
    await restarted.follower.catch_up(LEASE)
    assert restarted.handler.runs == ["b"]


async def test_the_position_is_saved_after_the_handling_so_that_a_crash_repeats_and_never_skips(
    at: Setting, log: PartitionedLog, positions: MemoryCheckpoints, clock: SettableClock
) -> None:
    log.append("one", "a", "b")

    class Crashed(Exception):
        pass

    async def crash(follower: str, partition: str, position: str, lease: Lease) -> None:
        assert at.handler.runs == ["a", "b"]
        raise Crashed

    positions.save = crash  # type: ignore[method-assign]
    with pytest.raises(Crashed):
        await at.follower.catch_up(LEASE)
    restarted = Setting(log, MemoryCheckpoints(), clock)
    await restarted.follower.catch_up(LEASE)
    assert restarted.handler.runs == ["a", "b"]


async def test_what_is_not_wanted_is_passed_over_and_counts_as_handled(
    at: Setting, log: PartitionedLog, positions: MemoryCheckpoints
) -> None:
    await at.follower.save_positions(LEASE)
    log.append("one", "a")
    log.append("one", "b", "c", unwanted=True)
    log.append("one", "d", "e", unwanted=True)
    await at.follower.catch_up(LEASE)
    assert at.handler.batches == [["a"]]
    assert at.follower.status.handled == 5
    assert at.follower.positions["one"] == f"one/{log.events['one'][4].event_id}"
    assert await positions.load("remembering", "one", LEASE) == f"one/{log.events['one'][2].event_id}"
    await at.follower.save_positions(LEASE)
    assert await positions.load("remembering", "one", LEASE) == f"one/{log.events['one'][4].event_id}"


async def test_saving_what_was_passed_over_never_takes_a_position_back(
    at: Setting, log: PartitionedLog, positions: MemoryCheckpoints
) -> None:
    log.append("one", "a", "b", "c", unwanted=True)
    log.append("one", "d")
    await at.follower.catch_up(LEASE)
    saved = await positions.load("remembering", "one", LEASE)
    assert saved == f"one/{log.events['one'][3].event_id}"
    await at.follower.save_positions(LEASE)
    assert await positions.load("remembering", "one", LEASE) == saved


async def test_where_a_repeat_goes_unnoticed_the_position_is_saved_once_a_second_and_at_a_stop(
    at: Setting, log: PartitionedLog, positions: MemoryCheckpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_SAVE_SECONDS", 0.2)
    at.handler.may_repeat_unnoticed = True

    async def saved() -> str | None:
        return await positions.load("remembering", "one", LEASE)

    await at.follower.save_positions(LEASE)
    log.append("one", *"abcdefgh")
    await at.follower.catch_up(LEASE)
    assert at.handler.runs == list("abcdefgh")
    assert await saved() is None
    await anyio.sleep(0.25)
    await at.follower.catch_up(LEASE)
    assert await saved() == f"one/{log.events['one'][7].event_id}"
    async with running(at.follower):
        log.append("one", "i")
        await until(lambda: at.handler.runs[-1] == "i")
    assert await saved() == f"one/{log.events['one'][8].event_id}"


async def test_where_it_costs_much_a_position_is_saved_seldom_up_to_which_nothing_was_handled(
    at: Setting, log: PartitionedLog, positions: MemoryCheckpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(MemoryCheckpoints, "passed_seconds", 60.0)
    at.handler.may_repeat_unnoticed = True
    await at.follower.save_positions(LEASE)
    log.append("one", "a")
    log.append("two", "b", unwanted=True)
    await at.follower.catch_up(LEASE)
    await at.follower.catch_up(LEASE)
    assert await positions.load("remembering", "one", LEASE) == at.follower.positions["one"] is not None
    assert await positions.load("remembering", "two", LEASE) is None
    monkeypatch.setattr(MemoryCheckpoints, "passed_seconds", 0.0)
    await at.follower.catch_up(LEASE)
    assert await positions.load("remembering", "two", LEASE) == at.follower.positions["two"] is not None


async def test_a_stop_saves_the_position_of_what_was_passed_over(
    at: Setting, log: PartitionedLog, positions: MemoryCheckpoints
) -> None:
    log.append("one", "a", unwanted=True)
    async with running(at.follower):
        await until(lambda: at.follower.status.state == "running")
    assert await positions.load("remembering", "one", LEASE) == f"one/{log.events['one'][0].event_id}"


async def test_a_failing_handler_gets_the_same_batch_again_until_it_works(
    at: Setting, log: PartitionedLog
) -> None:
    at.handler.failures = 3
    log.append("one", *"abcd")
    log.append("two", "x")
    async with running(at.follower):
        await until(lambda: len(at.handler.runs) == 5)
    tried = [batch for batch in at.handler.tried if batch != ["x"]]
    assert tried == [["a", "b", "c"]] * (len(tried) - 1) + [["d"]]
    assert len(at.handler.tried) == 3 + len(at.handler.batches)
    assert [batch for batch in at.handler.batches if batch != ["x"]] == [["a", "b", "c"], ["d"]]
    assert at.follower.status.failures == 3


async def test_while_it_fails_it_says_so_with_the_error_and_the_lag_and_recovers_by_itself(
    at: Setting, log: PartitionedLog, clock: SettableClock
) -> None:
    at.handler.failures = 1_000_000
    assert at.follower.status.state == "standby"
    async with running(at.follower):
        await until(lambda: at.follower.status.state == "running")
        assert (at.follower.status.lag_seconds, at.follower.status.error) == (0.0, None)
        log.append("one", "a")
        await until(lambda: at.follower.status.failures >= 2)
        clock.advance(seconds=90)
        status = at.follower.status
        assert (status.state, status.error, status.lag_seconds) == ("failing", "ValueError: no luck", 90.0)
        assert status.handled == 0
        at.handler.failures = 0
        await until(lambda: at.follower.status.state == "running")
        status = at.follower.status
        assert (status.error, status.lag_seconds, status.handled) == (None, 0.0, 1)
    status = at.follower.status
    assert status.state == "stopped"


async def test_who_stands_back_from_what_fails_lags_behind_nothing(
    at: Setting, log: PartitionedLog, clock: SettableClock
) -> None:
    at.handler.failures = 1_000_000
    log.append("one", "a")
    async with anyio.create_task_group() as group:
        group.start_soon(at.follower.run, LEASE)
        await until(lambda: at.follower.status.failures >= 1)
        group.cancel_scope.cancel()
    clock.advance(seconds=90)
    status = at.follower.status
    assert (status.state, status.lag_seconds, status.error) == ("standby", 0.0, None)


async def test_a_log_that_is_away_is_waited_for(at: Setting, log: PartitionedLog) -> None:
    log.append("one", "a")
    log.error = StoreUnavailable("away")
    async with running(at.follower):
        await until(lambda: at.follower.status.state == "failing")
        assert at.follower.status.error == "StoreUnavailable: away"
        log.error = None
        await until(lambda: at.handler.runs == ["a"])


async def test_a_failure_is_logged_in_full_once_and_not_at_every_try(
    at: Setting, log: PartitionedLog
) -> None:
    at.handler.failures = 4
    log.append("one", "a")
    with capture_logs() as logs:
        async with running(at.follower):
            await until(lambda: at.handler.runs == ["a"])
    failing = [each for each in logs if each["event"] == "follower_failing"]
    assert len(failing) == 1
    assert failing[0]["log_level"] == "error"
    assert isinstance(failing[0]["exc_info"], ValueError)
    assert len([each for each in logs if each["event"] == "trying_again"]) == 4


async def test_a_stop_finishes_the_batch_in_hand_and_begins_no_other(
    at: Setting, log: PartitionedLog, positions: MemoryCheckpoints
) -> None:
    at.handler.gate = anyio.Event()
    log.append("one", *"abcdef")
    async with anyio.create_task_group() as group:
        group.start_soon(at.follower.run, LEASE)
        await at.handler.entered.wait()
        at.follower.stop()
        await anyio.wait_all_tasks_blocked()
        assert at.follower.status.state != "stopped"
        at.handler.gate.set()
        with anyio.fail_after(5):
            await until(lambda: at.follower.status.state == "stopped")
    assert at.handler.batches == [["a", "b", "c"]]
    assert await positions.load("remembering", "one", LEASE) == f"one/{log.events['one'][2].event_id}"
    assert at.follower.status.state == "stopped"


async def test_a_stop_ends_the_wait_between_two_tries(
    at: Setting, log: PartitionedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_SECONDS", 20)
    at.handler.failures = 5
    log.append("one", "a")
    began = time.monotonic()
    async with running(at.follower):
        await until(lambda: at.follower.status.state == "failing")
    assert time.monotonic() - began < 5
    assert at.handler.tried == [["a"]]


async def test_a_follower_that_is_stopped_before_it_runs_does_nothing(
    at: Setting, log: PartitionedLog
) -> None:
    log.append("one", "a")
    at.follower.stop()
    with anyio.fail_after(5):
        await at.follower.run(LEASE)
    assert at.handler.tried == []


async def test_it_is_starting_until_it_has_been_at_the_end_once(at: Setting, log: PartitionedLog) -> None:
    log.append("one", *"abcdefg")
    first, second = anyio.Event(), anyio.Event()
    at.handler.gate = first
    async with running(at.follower):
        await at.handler.entered.wait()
        at.handler.entered, at.handler.gate = anyio.Event(), second
        first.set()
        await at.handler.entered.wait()
        assert at.handler.runs == list("abc")
        assert at.follower.status.state == "starting"
        second.set()
        await until(lambda: at.follower.status.state == "running")
        assert at.handler.runs == list("abcdefg")


async def test_behind_a_batch_that_was_cut_it_reads_on_at_once_however_few_there_were(
    at: Setting, log: PartitionedLog
) -> None:
    log.room = 2
    log.append("one", "a", "b", "c", "d", "e")
    at.handler.gate = anyio.Event()
    async with running(at.follower):
        await until(lambda: at.handler.entered.is_set())
        assert at.follower.status.state == "starting"
        at.handler.gate.set()
        await until(lambda: at.follower.status.state == "running")
        assert at.handler.batches == [["a", "b"], ["c", "d"], ["e"]]
