"""One instance at a time does a part, whatever becomes of the others."""

import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from structlog.testing import capture_logs

from application import leadership as module
from application.leadership import Leadership
from application.term import Term
from domain.errors import LeaseLost, StoreUnavailable
from domain.lease import Lease
from infrastructure.memory.leases import LocalLeases

pytestmark = pytest.mark.anyio


class SharedLeases:
    """Leases in memory, by a clock of their own, for several leaderships."""

    def __init__(self, seconds: float = 0.4) -> None:
        self.seconds = seconds
        self.rows: dict[str, tuple[str, int, float]] = {}
        self.away: Exception | None = None
        self.too_many: dict[str, Collection[str]] = {}

    def surplus(self, holder: str) -> Collection[str]:
        return self.too_many.pop(holder, ())

    async def hold(self, names: Sequence[str], holder: str) -> Mapping[str, int | None]:
        await anyio.sleep(0)
        if self.away is not None:
            raise self.away
        now, held = time.monotonic(), {}
        for name in names:
            owner, fence, until = self.rows.get(name, ("", 0, 0.0))
            if owner == holder or until < now:
                fence = fence if owner == holder else fence + 1
                self.rows[name] = (holder, fence, now + self.seconds)
                held[name] = fence
        return held

    async def release(self, names: Sequence[str], holder: str) -> None:
        for name in names:
            owner, fence, _ = self.rows.get(name, ("", 0, 0.0))
            if owner == holder:
                self.rows[name] = (holder, fence, 0.0)


A_BUSY_LOOP_SECONDS = 0.5
"""By how much the end of a part may come later than it should on a machine that has other things to do."""


class Doing:
    """A part that notes its terms, and fails as often as told."""

    name = "part"
    failing_seconds = 0.0

    def __init__(self, *failures: Exception) -> None:
        self.calls: list[str] = []
        self.leases: list[Lease] = []
        self.is_done = False
        self.failures = list(failures)
        self.ended_at = 0.0
        self._stopping = anyio.Event()

    async def take_over(self, lease: Lease) -> None:
        self.calls.append("take_over")
        if self.failures:
            raise self.failures.pop(0)

    async def run(self, lease: Lease) -> None:
        self.calls.append("run")
        self.leases.append(lease)
        self.is_done = True
        try:
            await self._stopping.wait()
        finally:
            self.is_done = False
            self.ended_at = time.monotonic()

    def stop(self) -> None:
        self._stopping.set()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_AFTER_A_FAILURE_SECONDS", 0.01)


@pytest.fixture
def leases() -> SharedLeases:
    return SharedLeases()


@asynccontextmanager
async def leading(leadership: Leadership) -> AsyncIterator[Leadership]:
    async with anyio.create_task_group() as group:
        group.start_soon(leadership.run)
        await leadership.taken_over()
        yield leadership
        with anyio.fail_after(5):
            await leadership.finish()


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(5):
        while not condition():
            await anyio.sleep(0.005)


async def test_a_part_that_nobody_does_is_taken_over_before_the_service_counts_as_started(
    leases: SharedLeases,
) -> None:
    part = Doing()
    async with leading(Leadership(leases, "a", [part])) as leadership:
        assert part.calls[0] == "take_over"
        await until(lambda: part.is_done)
        assert leadership.held == {"part": True}


async def test_a_take_over_may_last_longer_than_a_lease_and_a_stop_breaks_it_off(
    leases: SharedLeases,
) -> None:
    class Slow(Doing):
        async def take_over(self, lease: Lease) -> None:
            await super().take_over(lease)
            await anyio.sleep_forever()

    part = Slow()
    async with anyio.create_task_group() as group:
        leadership = Leadership(leases, "a", [part])
        group.start_soon(leadership.run)
        await anyio.sleep(2 * leases.seconds)
        assert part.calls == ["take_over"]
        with anyio.fail_after(5):
            await leadership.finish()
            await leadership.taken_over()
    assert leases.rows["part"][2] == 0.0, "it is given back"


async def test_one_of_two_does_it_and_the_other_waits(leases: SharedLeases) -> None:
    first, second = Doing(), Doing()
    async with (
        leading(Leadership(leases, "a", [first])),
        leading(Leadership(leases, "b", [second])) as other,
    ):
        await anyio.sleep(2 * leases.seconds)
        assert first.is_done
        assert second.calls == []
        assert other.held == {"part": False}


async def test_what_a_finished_instance_did_another_does_at_once(leases: SharedLeases) -> None:
    leases.seconds = 2.0
    first, second = Doing(), Doing()
    async with (
        leading(Leadership(leases, "a", [first])) as leadership,
        leading(Leadership(leases, "b", [second])),
    ):
        await until(lambda: first.is_done)
        began = time.monotonic()
        await leadership.finish()
        assert not first.is_done
        await until(lambda: second.is_done)
        assert time.monotonic() - began < leases.seconds / module.BEATS_A_LEASE + 0.5


async def test_what_a_dead_instance_did_another_does_when_the_lease_has_run_out(leases: SharedLeases) -> None:
    part = Doing()
    await leases.hold(["part"], "dead")
    began = time.monotonic()
    async with leading(Leadership(leases, "a", [part])):
        await until(lambda: part.is_done)
        assert leases.seconds * 0.9 < time.monotonic() - began < leases.seconds * 2
        assert part.leases[0].fence == 2


@pytest.mark.parametrize("error", [StoreUnavailable("away"), LookupError("away")], ids=["away", "broken"])
async def test_who_cannot_ask_for_the_lease_stops_before_another_can_have_it(
    leases: SharedLeases, error: Exception
) -> None:
    part = Doing()
    with capture_logs() as logs:
        async with leading(Leadership(leases, "a", [part])) as leadership:
            await until(lambda: part.is_done)
            assert leadership.away is None
            leases.away = error
            await until(lambda: not part.is_done)
            assert leadership.away == "away"
            owner, _, lasts_until = leases.rows["part"]
            assert owner == "a"
            assert part.ended_at <= lasts_until + A_BUSY_LOOP_SECONDS
            with pytest.raises(LeaseLost):
                part.leases[0].check()
            leases.away = None
            await until(lambda: part.is_done)
            part.leases[1].check()
    events = [line["event"] for line in logs]
    assert events.count("leases_away") == 1
    assert events.count("lease_lost") == 1


async def test_who_was_paused_does_not_write_although_nobody_told_it(leases: SharedLeases) -> None:
    """Nothing on the loop has run since the pause: the check alone can know."""
    part = Doing()
    async with leading(Leadership(leases, "a", [part])):
        await until(lambda: part.is_done)
        part.leases[0].check()
        time.sleep(leases.seconds * 1.1)
        with pytest.raises(LeaseLost, match="part"):
            part.leases[0].check()


async def test_a_lease_that_another_has_taken_ends_the_part(leases: SharedLeases) -> None:
    part = Doing()
    async with leading(Leadership(leases, "a", [part])):
        await until(lambda: part.is_done)
        leases.rows["part"] = ("b", 7, time.monotonic() + 0.5)
        await until(lambda: not part.is_done)
        await until(lambda: part.is_done)
        assert part.leases[-1].fence == 8


async def test_a_part_that_fails_is_done_again_while_the_lease_is_held(leases: SharedLeases) -> None:
    part = Doing(StoreUnavailable("away"), ValueError("a bug"))
    with capture_logs() as logs:
        async with leading(Leadership(leases, "a", [part])):
            await until(lambda: part.is_done)
    assert part.calls == ["take_over"] * 3 + ["run"]
    failed = [line["log_level"] for line in logs if line["event"] == "part_failed"]
    assert failed == ["warning", "error"]


async def test_a_part_whose_lease_proves_lost_in_its_hands_waits_for_the_next(leases: SharedLeases) -> None:
    part = Doing(LeaseLost("another has it"))
    async with leading(Leadership(leases, "a", [part])):
        await until(lambda: part.is_done)
    assert part.calls == ["take_over", "take_over", "run"]


@pytest.mark.parametrize("have_rivals", [True, False])
async def test_a_part_is_taken_over_anew_when_the_log_is_another(
    leases: SharedLeases, have_rivals: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BEAT_WITHOUT_RIVALS_SECONDS", 0.05)
    part, switches = Doing(), 0
    held = leases if have_rivals else LocalLeases()
    async with leading(Leadership(held, "a", [part], switches=lambda: switches)):
        await until(lambda: part.is_done)
        part.leases[0].check()
        switches += 1
        with pytest.raises(LeaseLost):
            part.leases[0].check()
        await until(lambda: len(part.leases) == 2)
        part.leases[1].check()
        assert part.calls == ["take_over", "run"] * 2


async def test_a_part_that_a_library_cancels_is_done_again(leases: SharedLeases) -> None:
    class Fragile(Doing):
        async def run(self, lease: Lease) -> None:
            if self.calls.count("run") == 0:
                self.calls.append("run")
                raise anyio.get_cancelled_exc_class()
            await super().run(lease)

    part = Fragile()
    with capture_logs() as logs:
        async with leading(Leadership(leases, "a", [part])):
            await until(lambda: part.is_done)
    assert "part_cancelled_by_a_library" in [line["event"] for line in logs]


async def test_parts_are_led_each_by_itself(leases: SharedLeases) -> None:
    class Other(Doing):
        name = "other"

    part, other = Doing(), Other()
    await leases.hold(["other"], "elsewhere")
    leases.rows["other"] = ("elsewhere", 1, math.inf)
    async with leading(Leadership(leases, "a", [part, other])) as leadership:
        await until(lambda: part.is_done)
        assert leadership.held == {"part": True, "other": False}
        assert other.calls == []


async def test_an_instance_without_parts_ends_like_any_other(leases: SharedLeases) -> None:
    async with leading(Leadership(leases, "a", [])) as leadership:
        assert leadership.held == {}


async def test_a_cancelled_instance_gives_its_leases_back(leases: SharedLeases) -> None:
    part = Doing()
    async with anyio.create_task_group() as group:
        group.start_soon(Leadership(leases, "a", [part]).run)
        await until(lambda: part.is_done)
        group.cancel_scope.cancel()
    assert leases.rows["part"][2] == 0.0


async def test_a_term_that_nothing_ends_lasts_for_ever() -> None:
    term = Term("part", None)
    term.extend(math.inf, 0.0)
    term.check()
    with term.scope:
        await anyio.sleep(0)
        assert term.scope.deadline == math.inf


async def test_who_fails_at_a_part_stands_back_and_another_who_can_takes_over(
    leases: SharedLeases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STAND_BACK_AFTER_SECONDS", 0.3)
    cut_off, healthy = Doing(), Doing()
    async with leading(Leadership(leases, "a", [cut_off])) as first:
        await until(lambda: cut_off.is_done)
        async with leading(Leadership(leases, "b", [healthy])) as second:
            await anyio.sleep(2 * leases.seconds)
            assert (first.held["part"], second.held["part"]) == (True, False)
            cut_off.failing_seconds = 0.2
            await anyio.sleep(leases.seconds)
            assert first.held["part"], "too soon"
            cut_off.failing_seconds = 0.4
            await until(lambda: healthy.is_done)
            assert (first.held["part"], second.held["part"]) == (False, True)
            await anyio.sleep(2 * leases.seconds)
            assert not cut_off.is_done


async def test_who_cannot_even_begin_stands_back_too(
    leases: SharedLeases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STAND_BACK_AFTER_SECONDS", 0.1)
    cut_off, healthy = Doing(*[StoreUnavailable("away")] * 500), Doing()
    monkeypatch.setattr(module, "_TAKE_OVER_SECONDS", 0.05)
    async with (
        leading(Leadership(leases, "a", [cut_off])),
        leading(Leadership(leases, "b", [healthy])) as other,
    ):
        await until(lambda: healthy.is_done)
        assert other.held["part"]


async def test_where_nobody_can_do_it_the_same_one_takes_it_again_and_is_patient_for_longer(
    leases: SharedLeases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STAND_BACK_AFTER_SECONDS", 0.1)
    alone = Doing()
    with capture_logs() as logs:
        async with leading(Leadership(leases, "a", [alone])):
            alone.failing_seconds = 0.15
            await until(lambda: len(alone.leases) == 2)
            await anyio.sleep(2 * leases.seconds)
            assert alone.is_done, "it is patient for twice as long now"
            alone.failing_seconds = 0.25
            await until(lambda: len(alone.leases) == 3)
            alone.failing_seconds = 0.0
            await anyio.sleep(2 * leases.seconds)
            assert alone.is_done
    assert [line["event"] for line in logs].count("stands_back") == 2


async def test_a_failure_that_takes_its_time_to_show_again_is_not_taken_for_work(
    leases: SharedLeases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STAND_BACK_AFTER_SECONDS", 0.4)
    alone = Doing()
    async with leading(Leadership(leases, "a", [alone])):
        await until(lambda: alone.is_done)
        alone.failing_seconds = 0.5
        await until(lambda: len(alone.leases) == 1 and not alone.is_done)
        alone.failing_seconds = 0.0
        await until(lambda: len(alone.leases) == 2)
        await anyio.sleep(0.25)
        alone.failing_seconds = 0.5
        await anyio.sleep(0.4)
        assert len(alone.leases) == 2, (
            "it is patient for twice as long, whatever the first moments looked like"
        )
        alone.failing_seconds = 0.9
        await until(lambda: len(alone.leases) == 3)


async def test_an_instance_that_has_no_rivals_does_not_stand_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STAND_BACK_AFTER_SECONDS", 0.0)
    alone = Doing()
    alone.failing_seconds = 1000.0
    leases = LocalLeases()
    monkeypatch.setattr(leases, "seconds", 0.1)
    async with leading(Leadership(leases, "a", [alone])):
        await anyio.sleep(0.3)
        assert len(alone.leases) == 1
        assert alone.is_done
