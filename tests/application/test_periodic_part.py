"""What is done now and then, under its lease."""

import anyio
import pytest

from application.periodic_part import PeriodicPart
from domain.errors import LeaseLost, StoreUnavailable
from domain.lease import Lease
from tests.builders import LEASE

pytestmark = pytest.mark.anyio


class Looking(PeriodicPart):
    """Fails as told, one look after the other, and is stopped by the look after that."""

    name = "looking"

    def __init__(self, *errors: Exception | None) -> None:
        super().__init__(every_seconds=0.0)
        self.looks = 0
        self._errors = list(errors)

    async def do(self, lease: Lease) -> None:
        self.looks += 1
        if not self._errors:
            self.stop()
        elif error := self._errors.pop(0):
            raise error


async def test_it_is_done_again_and_again_until_it_is_stopped() -> None:
    part = Looking(None, None)
    await part.run(LEASE)
    assert part.looks == 3
    await part.run(LEASE)
    assert part.looks == 3, "for good"


async def test_a_stop_ends_the_wait() -> None:
    part = Looking(None)
    part.every_seconds = 60.0
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(part.run, LEASE)
            await anyio.wait_all_tasks_blocked()
            part.stop()


async def test_it_fails_from_its_first_failure_to_its_next_success_or_until_another_does_it() -> None:
    away = StoreUnavailable("away")
    part = Looking(away, away, LeaseLost("another has it"), away)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await part.run(LEASE)
        began = anyio.current_time()
        await anyio.sleep(0.01)
        assert part.failing_seconds >= anyio.current_time() - began
    with pytest.raises(LeaseLost):
        await part.run(LEASE)
    assert part.failing_seconds == 0.0
    with pytest.raises(StoreUnavailable):
        await part.run(LEASE)
    await part.run(LEASE)
    assert part.failing_seconds == 0.0
