"""Commands of one tenant, however many and however long each takes, do not keep another's from the store."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import anyio
import pytest

from application.deciders import Committed, Decider, decide_together
from application.event_log import EventLog
from application.pasts import Pasts
from application.waiting_lines import WaitingLines
from application.workers import NotBegun, Workers
from domain import approval
from domain.approval import BARE, Approval, ApprovalRequested
from domain.errors import StoreUnavailable
from domain.event import Event
from tests.application.logs import open_logs, sqlite_settings
from tests.approvals import around
from tests.builders import NOW, OTHER_TENANT, TENANT, metadata

pytestmark = pytest.mark.anyio


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield logs.open()


def request(name: str, *, seconds: float = 0.0, tenant: str = TENANT) -> Decider:
    """A command that takes some time to decide on."""

    def decide(state: Approval | None) -> Sequence[Event]:
        time.sleep(seconds)
        asked = ApprovalRequested(
            approval_id=name, opportunity_id="o", risk_score=1, amount=1, requested_at=NOW
        )
        return approval.request(state, asked, BARE, around())

    return Decider(f"{tenant}/approval/{name}", approval.evolve, decide, metadata(tenant=tenant), NOW, None)


def test_lines_take_turns() -> None:
    lines = WaitingLines[str](lambda name: name[0])
    for name in ("a1", "a2", "a3", "b1", "c1", "c2"):
        lines.append(name)
    assert lines.take(4) == ["a1", "b1", "c1", "a2"]
    lines.put_back(["c1", "a2"])
    lines.append("b2")
    assert lines.take(2) == ["c1", "a2"]
    assert lines.take_all() == ["b2", "c2", "a3"]


def test_the_longest_line_gives_way_to_a_shorter_one() -> None:
    lines = WaitingLines[str](lambda name: name[0])
    assert lines.take_from_the_longest("a1") is None
    for name in ("a1", "a2", "a3"):
        lines.append(name)
    assert lines.take_from_the_longest("a4") is None
    assert lines.take_from_the_longest("b1") == "a3"
    lines.append("b1")
    assert lines.take_from_the_longest("b2") is None
    assert lines.take_all() == ["a1", "b1", "a2"]


def test_what_takes_long_is_decided_in_parts(log: EventLog) -> None:
    deciders = [request(str(number), seconds=0.05) for number in range(10)]
    answers = decide_together(log, Pasts(log, most=100), deciders, seconds=0.12)
    begun = [isinstance(answer, Committed) for answer in answers]
    assert begun == sorted(begun, reverse=True)
    assert 1 <= sum(begun) <= 3
    assert all(isinstance(answer, NotBegun) for answer in answers[sum(begun) :])
    assert log.recorder.max_notification_id() == sum(begun)


def test_of_one_stream_too_and_in_their_order(log: EventLog) -> None:
    pasts = Pasts(log, most=100)
    first, *rest = decide_together(log, pasts, [request("a", seconds=0.1)] * 3, seconds=0.05)
    assert isinstance(first, Committed)
    assert [type(answer) for answer in rest] == [NotBegun, NotBegun]


def again(name: str) -> Decider:
    """A command that always adds an event, and takes long to decide on."""

    def decide(state: Approval | None) -> Sequence[Event]:
        time.sleep(0.1)
        return [
            ApprovalRequested(approval_id=name, opportunity_id="o", risk_score=1, amount=1, requested_at=NOW)
        ]

    return Decider(f"{TENANT}/approval/{name}", lambda state, event: state, decide, metadata(), NOW, None)


def test_what_is_new_is_not_always_behind_what_is_remembered(log: EventLog) -> None:
    pasts = Pasts(log, most=100)
    decide_together(log, pasts, [request("a")])
    fresh = request("b", tenant=OTHER_TENANT)
    answers = decide_together(log, pasts, [fresh, again("a")], seconds=0.05)
    assert all(isinstance(answer, Committed) for answer in answers)


def test_who_has_lost_a_race_is_decided_anew_and_not_left_for_later(log: EventLog) -> None:
    """Later it would be decided on what is remembered, and lose again."""
    ours, another = Pasts(log, most=100), Pasts(log, most=100)
    decide_together(log, ours, [request("a")])
    decide_together(log, another, [again("a")])
    (answer,) = decide_together(log, ours, [again("a")], seconds=0.05)
    assert isinstance(answer, Committed)


def one_worker(
    together: Callable[[Sequence[str]], Sequence[str | Exception]], *, at_once: int, most_waiting: int
) -> Workers[str, str]:
    """A thread; the first letter of what it is given is the tenant."""
    return Workers(
        together,
        size=1,
        at_once=at_once,
        most_waiting=most_waiting,
        turn_seconds=30,
        patience_seconds=30,
        line_of=lambda name: name[0],
    )


async def test_who_comes_is_not_behind_all_that_another_tenant_has_sent() -> None:
    done: list[str] = []
    all_are_here = threading.Event()

    def together(names: Sequence[str]) -> Sequence[str | Exception]:
        all_are_here.wait(10)
        done.append(names[0])
        return [names[0], *(NotBegun() for _ in names[1:])]

    workers = one_worker(together, at_once=100, most_waiting=100)
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(workers, f"a{number}")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(workers, "b")
        await anyio.wait_all_tasks_blocked()
        all_are_here.set()
    assert done.index("b") <= 2
    assert [name for name in done if name != "b"] == [f"a{number}" for number in range(50)]
    assert workers.close(patience_seconds=5)


async def test_what_is_left_for_later_is_refused_if_there_is_no_later() -> None:
    closed = threading.Event()

    def together(names: Sequence[str]) -> Sequence[str | Exception]:
        closed.wait(10)
        return [NotBegun() for _ in names]

    workers = one_worker(together, at_once=1, most_waiting=10)

    async def ask() -> None:
        with pytest.raises(StoreUnavailable, match="closed"):
            await workers("a")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert not workers.close()
            closed.set()


async def test_no_tenant_has_all_the_places() -> None:
    thawed = threading.Event()

    def together(names: Sequence[str]) -> Sequence[str | Exception]:
        thawed.wait(10)
        return names

    workers = one_worker(together, at_once=1, most_waiting=10)
    refused: list[str] = []
    answered: list[str] = []

    async def ask(name: str) -> None:
        try:
            answered.append(await workers(name))
        except StoreUnavailable:
            refused.append(name)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(ask, f"a{number}")
        await anyio.wait_all_tasks_blocked()
        assert len(refused) == 9
        for number in range(3):
            tasks.start_soon(ask, f"b{number}")
        await anyio.wait_all_tasks_blocked()
        assert sorted(refused[9:]) == ["a10", "a8", "a9"]
        thawed.set()
    assert len(answered) == 11
    assert {"b0", "b1", "b2"} <= set(answered)
    async with anyio.create_task_group() as tasks:
        for number in range(11):
            tasks.start_soon(ask, f"c{number}")
    assert len(answered) == 22
