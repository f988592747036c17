"""Trying again until it works, or until it is told to stop."""

import time

import anyio
import pytest
from structlog.testing import capture_logs

from projections import patience
from projections.patience import Patience, Stopped

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_SECONDS", 0.002)


class Work:
    """Fails as often as told, then says how many tries it took."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or ConnectionError("away")
        self.tries = 0

    async def __call__(self) -> int:
        self.tries += 1
        if self.tries <= self.failures:
            raise self.error
        return self.tries


async def test_what_works_at_once_is_done_once() -> None:
    work = Work(0)
    assert await Patience("it").until_done(work) == 1
    assert work.tries == 1


async def test_what_fails_is_tried_until_it_works() -> None:
    assert await Patience("it").until_done(Work(6)) == 7


async def test_each_failure_that_is_waited_for_is_told_and_logged() -> None:
    told: list[Exception] = []
    work = Work(2)
    with capture_logs() as logs:
        await Patience("the thing").until_done(work, on_failure=told.append)
    assert told == [work.error] * 2
    assert [(each["what"], each["attempt"], each["error"]) for each in logs] == [
        ("the thing", 1, "ConnectionError: away"),
        ("the thing", 2, "ConnectionError: away"),
    ]


async def test_what_cannot_pass_is_raised_at_once() -> None:
    work, told = Work(3, ValueError("never")), list[Exception]()
    with pytest.raises(ValueError, match="never"):
        await Patience("it").until_done(
            work, may_pass=lambda error, tries: isinstance(error, ConnectionError), on_failure=told.append
        )
    assert work.tries == 1
    assert told == []


async def test_patience_may_run_out_after_some_tries() -> None:
    work = Work(9)
    with pytest.raises(ConnectionError):
        await Patience("it").until_done(work, may_pass=lambda error, tries: tries < 4)
    assert work.tries == 4


async def test_a_cancellation_is_not_a_failure_to_wait_for() -> None:
    tries = 0

    async def hang() -> None:
        nonlocal tries
        tries += 1
        await anyio.sleep_forever()

    with anyio.move_on_after(0.05):
        await Patience("it").until_done(hang)
    assert tries == 1


async def test_waits_grow_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_SECONDS", 0.0001)
    with capture_logs() as logs:
        await Patience("it", longest_wait_seconds=0.001).until_done(Work(12))
    assert len(logs) == 12
    assert max(each["in_seconds"] for each in logs) <= 0.01


async def test_a_stop_ends_the_wait_and_nothing_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_SECONDS", 20)
    effort, work = Patience("the thing"), Work(9)
    began = time.monotonic()
    caught: list[Stopped] = []

    async def go() -> None:
        with pytest.raises(Stopped, match="the thing: away") as info:
            await effort.until_done(work)
        caught.append(info.value)

    async with anyio.create_task_group() as group:
        group.start_soon(go)
        await anyio.wait_all_tasks_blocked()
        effort.stop()
    assert effort.is_stopped
    assert time.monotonic() - began < 5
    assert work.tries == 1
    assert caught[0].__cause__ is work.error


async def test_a_stop_during_the_work_lets_it_finish() -> None:
    effort = Patience("it")

    async def work() -> str:
        effort.stop()
        return "done"

    assert await effort.until_done(work) == "done"


async def test_work_that_fails_after_the_stop_is_not_tried_again() -> None:
    effort, work = Patience("it"), Work(9)

    async def stop_and_fail() -> int:
        effort.stop()
        return await work()

    with pytest.raises(Stopped) as caught:
        await effort.until_done(stop_and_fail)
    assert work.tries == 1
    assert caught.value.__cause__ is work.error


async def test_a_sleep_ends_when_it_is_stopped() -> None:
    effort = Patience("it")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(effort.sleep, 60)
            await anyio.wait_all_tasks_blocked()
            effort.stop()
        await effort.sleep(60)
    began = time.monotonic()
    await Patience("other").sleep(0.02)
    assert time.monotonic() - began >= 0.015
