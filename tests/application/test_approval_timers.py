"""What the clock does to approvals: a real log and durable timers, and a clock that is moved by hand."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from application.approval_commands import ApproveApproval, RequestApproval, WithdrawApproval
from application.approval_terms import Terms
from application.policies.approval_timers import EXPIRY, ApprovalTimers
from domain.approval import (
    ApprovalApproved,
    ApprovalBecameDecidable,
    ApprovalBecameUndecidable,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalReminded,
    ApprovalRevised,
    Approver,
    Ballot,
    Escalation,
    Policy,
    Stage,
    approval_stream,
)
from domain.event import Event
from tests.application.engine import Engine, engine_of
from tests.application.test_workflow_timers import KeptTimers
from tests.builders import TENANT, metadata, recorded
from tests.samples import SAMPLES

pytestmark = pytest.mark.anyio

HOUR = 3600.0
FINANCE, EXECUTIVES = Approver(group="finance"), Approver(group="executives")
POLICY = Policy(
    stages=(
        Stage(
            name="finance",
            approvers=(FINANCE,),
            remind_after_seconds=(1 * HOUR, 2 * HOUR),
            escalations=(Escalation(after_seconds=3 * HOUR, to=(EXECUTIVES,)),),
        ),
        Stage(name="board", approvers=(EXECUTIVES,), remind_after_seconds=(1 * HOUR,)),
    ),
    due_after_seconds=8 * HOUR,
    grace_seconds=2 * HOUR,
)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_of(tmp_path, terms=Terms()) as running:
        running.directory.groups = {"finance": frozenset({"ada"}), "executives": frozenset({"edna", "fritz"})}
        yield running


async def ask(engine: Engine, policy: Policy = POLICY, **more: Any) -> str:
    approval_id = str(uuid4())
    await engine.do(
        RequestApproval(
            meta=metadata(),
            approval_id=approval_id,
            opportunity_id="opp-1",
            risk_score=1,
            amount=2,
            policy=policy,
            **more,
        )
    )
    return approval_id


async def events(engine: Engine, approval_id: str, *kinds: type[Event]) -> list[Event]:
    """What has happened to an approval, as far as it is of those kinds."""
    history = await engine.store.load(approval_stream(TENANT, approval_id))
    return [recorded.event for recorded in history if isinstance(recorded.event, kinds or Event)]


async def approve(engine: Engine, approval_id: str, by: str) -> None:
    await engine.do(ApproveApproval(meta=metadata(), approval_id=approval_id, ballot=Ballot(by=by)))


async def test_each_reminder_and_escalation_happens_once_and_in_its_time(engine: Engine) -> None:
    approval_id = await ask(engine)
    for minutes, expected in ((59, 0), (1, 1), (30, 1), (30, 2), (59, 2), (1, 3), (60, 3)):
        await engine.pass_time(minutes=minutes)
        assert len(await events(engine, approval_id, ApprovalReminded, ApprovalEscalated)) == expected
    *_, escalated = await events(engine, approval_id, ApprovalReminded, ApprovalEscalated)
    assert isinstance(escalated, ApprovalEscalated)
    assert escalated.waits_for == ("group:finance", "group:executives")


async def test_what_fell_into_a_downtime_happens_once_each_afterwards(engine: Engine) -> None:
    approval_id = await ask(engine)
    await engine.pass_time(hours=7)
    assert len(await events(engine, approval_id, ApprovalReminded)) == 2
    assert len(await events(engine, approval_id, ApprovalEscalated)) == 1


async def test_whom_a_stage_is_escalated_to_may_decide_in_it(engine: Engine) -> None:
    approval_id = await ask(engine)
    await engine.pass_time(hours=3)
    await approve(engine, approval_id, "edna")
    await approve(engine, approval_id, "fritz")
    assert await events(engine, approval_id, ApprovalApproved)


async def test_a_stage_that_opens_later_has_its_own_time(engine: Engine) -> None:
    approval_id = await ask(engine)
    await engine.pass_time(minutes=30)
    await approve(engine, approval_id, "ada")
    await engine.pass_time(minutes=59)
    assert not await events(engine, approval_id, ApprovalReminded)
    await engine.pass_time(minutes=1)
    (reminded,) = await events(engine, approval_id, ApprovalReminded)
    assert isinstance(reminded, ApprovalReminded)
    assert (reminded.stage, reminded.waits_for) == (1, ("group:executives",))


async def test_it_expires_after_its_grace_and_not_when_it_is_due(engine: Engine) -> None:
    approval_id = await ask(engine)
    await engine.pass_time(hours=9, minutes=59)
    assert not await events(engine, approval_id, ApprovalExpired)
    await engine.pass_time(minutes=1)
    assert len(await events(engine, approval_id, ApprovalExpired)) == 1
    await engine.pass_time(hours=100)
    assert len(await events(engine, approval_id, ApprovalExpired)) == 1


@pytest.mark.parametrize("end", ["approved", "withdrawn"])
async def test_the_clock_leaves_alone_what_has_ended(engine: Engine, end: str) -> None:
    approval_id = await ask(engine)
    if end == "approved":
        await approve(engine, approval_id, "ada")
        await approve(engine, approval_id, "edna")
    else:
        await engine.do(
            WithdrawApproval(
                meta=metadata(), approval_id=approval_id, reason="off", by="system", may_do_all=True
            )
        )
    before = await events(engine, approval_id)
    await engine.pass_time(hours=100)
    assert await events(engine, approval_id) == before


async def test_when_the_last_who_could_agree_leaves_it_is_said_once_and_so_is_a_return(
    engine: Engine,
) -> None:
    approval_id = await ask(engine, Policy(stages=POLICY.stages[1:]))
    await engine.pass_time(hours=1)
    assert not await events(engine, approval_id, ApprovalBecameUndecidable)
    engine.directory.groups = {}
    for _ in range(3):
        await engine.pass_time(hours=1)
    (said,) = await events(engine, approval_id, ApprovalBecameUndecidable)
    assert isinstance(said, ApprovalBecameUndecidable)
    assert said.reason == "stage board does not have enough people who can agree"
    engine.directory.groups = {"executives": frozenset({"gina"})}
    for _ in range(3):
        await engine.pass_time(hours=1)
    assert len(await events(engine, approval_id, ApprovalBecameDecidable)) == 1
    assert not await events(engine, approval_id, ApprovalApproved)


async def test_a_directory_that_is_away_keeps_no_timer_from_its_time_afterwards(engine: Engine) -> None:
    first, second = await ask(engine), await ask(engine, due_at=engine.clock.now().replace(year=2027))
    engine.directory.away = True
    await engine.pass_time(hours=3)
    for approval_id in (first, second):
        assert len(await events(engine, approval_id, ApprovalReminded)) == 2
        assert not await events(engine, approval_id, ApprovalEscalated)
    engine.directory.away = False
    await engine.pass_time(minutes=1)
    for approval_id in (first, second):
        assert len(await events(engine, approval_id, ApprovalEscalated)) == 1


async def test_what_is_opened_while_the_directory_is_away_is_looked_at_soon(engine: Engine) -> None:
    engine.directory.away = True
    engine.directory.groups = {}
    approval_id = await ask(engine)
    assert not await events(engine, approval_id, ApprovalBecameUndecidable)
    engine.directory.away = False
    await engine.pass_time(minutes=1)
    assert len(await events(engine, approval_id, ApprovalBecameUndecidable)) == 1


async def test_each_revision_has_a_timer_of_its_own_for_its_expiry() -> None:
    """One to the same moment, from before another revision, may be firing just now, to be taken away then."""
    revised = [each.event for each in SAMPLES.values() if isinstance(each.event, ApprovalRevised)]
    keeper = ApprovalTimers(KeptTimers(), look_again_seconds=HOUR)
    begun = [keeper.begun(each)[0] for each in recorded(approval_stream(TENANT, "a"), revised * 2)]
    assert [each.kind for each in begun] == [EXPIRY, EXPIRY]
    assert begun[0].due_at == begun[1].due_at
    assert len({each.id for each in begun}) == len({each.meta.command_id for each in begun}) == 2


async def test_a_revision_in_a_lost_ones_place_has_not_its_timer() -> None:
    """A restore may have lost the other one, whose expiry may have been told of already (ADR 45)."""
    (revised,) = [each.event for each in SAMPLES.values() if isinstance(each.event, ApprovalRevised)][:1]
    keeper = ApprovalTimers(KeptTimers(), look_again_seconds=HOUR)

    def timer_id(command_id: str) -> str:
        meta = metadata(command_id=command_id)
        at = datetime(2026, 12, 1, tzinfo=UTC)
        (event,) = recorded(approval_stream(TENANT, "a"), [revised], at=at, meta=meta)
        return keeper.begun(event)[0].id

    assert timer_id("lost") != timer_id("in its place")
    assert timer_id("lost") == timer_id("lost")
