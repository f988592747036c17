"""Parts under one lease."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from application.joint_part import JointPart
from domain.errors import LeaseLost, StoreUnavailable
from domain.lease import Lease
from tests.builders import LEASE

pytestmark = pytest.mark.anyio


class One:
    """A part that runs until it is stopped, or as it is told."""

    def __init__(self, run: Callable[[], Awaitable[None]] | None = None, failing: float = 0.0) -> None:
        self.name = "one"
        self.failing_seconds = failing
        self.taken_over = 0
        self.was_cancelled = False
        self._run = run
        self._stopped = anyio.Event()

    async def take_over(self, lease: Lease) -> None:
        self.taken_over += 1

    async def run(self, lease: Lease) -> None:
        try:
            await (self._run() if self._run else self._stopped.wait())
        except anyio.get_cancelled_exc_class():
            self.was_cancelled = True
            raise

    def stop(self) -> None:
        self._stopped.set()

    def leave(self) -> None:
        self._stopped.set()


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        await anyio.sleep(0)
        raise error

    return run


@pytest.mark.parametrize("ask", [JointPart.stop, JointPart.leave])
async def test_all_are_taken_over_run_and_ended(ask: Callable[[JointPart], None]) -> None:
    parts = [One(), One()]
    joint = JointPart("both", parts)
    await joint.take_over(LEASE)
    assert [part.taken_over for part in parts] == [1, 1]
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(joint.run, LEASE)
            await anyio.sleep(0.01)
            ask(joint)


@pytest.mark.parametrize(
    "error", [LeaseLost("it has passed on"), StoreUnavailable("away"), ValueError("a bug")]
)
async def test_what_ends_one_ends_all_and_comes_through_as_it_is(error: Exception) -> None:
    other = One()
    with anyio.fail_after(5), pytest.raises(type(error), match=str(error)):
        await JointPart("both", [One(raising(error)), other]).run(LEASE)
    assert other.was_cancelled


async def test_a_lost_lease_counts_before_any_other_failure() -> None:
    parts = [One(raising(ValueError("a bug"))), One(raising(LeaseLost("it has passed on")))]
    with pytest.raises(LeaseLost):
        await JointPart("both", parts).run(LEASE)


async def test_to_be_cancelled_is_no_failure() -> None:
    with anyio.move_on_after(0.05) as scope:
        await JointPart("both", [One(), One()]).run(LEASE)
    assert scope.cancelled_caught


def test_it_fails_for_as_long_as_one_of_them() -> None:
    assert JointPart("both", [One(failing=1), One(failing=7)]).failing_seconds == 7
