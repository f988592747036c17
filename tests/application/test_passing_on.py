"""What another instance is to do is passed on to it, once what is in hand is done."""

import anyio
import pytest
from structlog.testing import capture_logs

from application import leadership as module
from application.leadership import Leadership
from domain.lease import Lease
from infrastructure.memory.checkpoints import MemoryCheckpoints
from projections.follower import Follower
from tests.application.test_leadership import Doing, SharedLeases, leading, until
from tests.builders import LEASE, SettableClock
from tests.projections.fakes import PartitionedLog, Remembering

pytestmark = pytest.mark.anyio


class Passing(Doing):
    """A part that ends its term when it is asked to and has what it has in hand done."""

    def __init__(self) -> None:
        super().__init__()
        self.in_hand = anyio.Event()
        self.was_cancelled = False
        self._leaving = anyio.Event()

    async def run(self, lease: Lease) -> None:
        self.leases.append(lease)
        self.is_done, self._leaving = True, anyio.Event()
        try:
            await self._leaving.wait()
            await self.in_hand.wait()
        except anyio.get_cancelled_exc_class():
            self.was_cancelled = True
            raise
        finally:
            self.is_done = False

    def leave(self) -> None:
        self._leaving.set()

    def stop(self) -> None:
        self._leaving.set()
        self.in_hand.set()


@pytest.fixture
def leases() -> SharedLeases:
    return SharedLeases()


async def test_what_is_in_hand_is_done_before_another_begins(leases: SharedLeases) -> None:
    busy, idle = Passing(), Passing()
    async with leading(Leadership(leases, "a", [busy])) as first:
        await until(lambda: busy.is_done)
        async with leading(Leadership(leases, "b", [idle])) as second:
            leases.too_many["a"] = ["part", "what it does not do"]
            await anyio.sleep(2 * leases.seconds)
            assert busy.is_done
            assert not idle.is_done
            with capture_logs() as logs:
                busy.in_hand.set()
                await until(lambda: idle.is_done)
                await anyio.sleep(2 * leases.seconds)
            assert (first.held["part"], second.held["part"]) == (False, True)
            assert not busy.is_done
            assert not busy.was_cancelled
            assert "lease_lost" not in [line["event"] for line in logs]


async def test_what_takes_too_long_is_broken_off(
    leases: SharedLeases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAVE_SECONDS", 0.2)
    busy, idle = Passing(), Passing()
    async with leading(Leadership(leases, "a", [busy])):
        await until(lambda: busy.is_done)
        async with leading(Leadership(leases, "b", [idle])):

            async def asked_again() -> None:
                while not idle.is_done:
                    leases.too_many["a"] = ["part"]
                    await anyio.sleep(0.05)

            with anyio.fail_after(5):
                await asked_again()
            assert busy.was_cancelled


async def test_what_is_to_be_left_before_it_has_begun_does_not_begin(leases: SharedLeases) -> None:
    part, taking_over = Passing(), anyio.Event()
    part.in_hand.set()

    async def take_over(lease: Lease) -> None:
        await taking_over.wait()

    vars(part)["take_over"] = take_over
    async with anyio.create_task_group() as group:
        leadership = Leadership(leases, "a", [part])
        group.start_soon(leadership.run)
        await until(lambda: leadership.held["part"])
        leadership._posts["part"].leave()
        taking_over.set()
        await until(lambda: not leadership.held["part"])
        assert part.leases == []
        await leadership.finish()


async def test_what_was_passed_on_can_come_back(leases: SharedLeases) -> None:
    part = Passing()
    part.in_hand.set()
    async with leading(Leadership(leases, "a", [part])):
        await until(lambda: part.is_done)
        leases.too_many["a"] = ["part"]
        await until(lambda: len(part.leases) == 2)


async def test_a_follower_that_was_left_saves_how_far_it_came_and_follows_again_when_it_is_run() -> None:
    log, positions, handler = PartitionedLog("one"), MemoryCheckpoints(), Remembering()
    handler.may_repeat_unnoticed = True
    follower = Follower(handler, log, positions, now=SettableClock().now, poll_seconds=60)
    for run in "ab":
        async with anyio.create_task_group() as group:
            group.start_soon(follower.run, LEASE)
            await until(lambda: follower.status.state == "running")
            log.append("one", run)
            await until(lambda run=run: handler.runs[-1:] == [run])  # type: ignore[misc]
            follower.leave()
        assert follower.status.state == "standby"
        assert await positions.load("remembering", "one", LEASE) == follower.positions["one"]
    assert handler.runs == ["a", "b"]
    follower.stop()
    await follower.run(LEASE)
    assert follower.status.state == "stopped"
