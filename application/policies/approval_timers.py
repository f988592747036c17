"""Timers of approvals: for reminders, escalations, the due date, and the check whether enough people are
left."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from application.approval_commands import (
    EscalateApproval,
    ExpireApproval,
    LookAgainAtApproval,
    RemindOfApproval,
)
from application.command import Command
from application.policies.timer_keeper import TimerKeeper, timer_of
from application.ports import Timer, Timers
from domain.approval import (
    ApprovalApproved,
    ApprovalExpired,
    ApprovalRejected,
    ApprovalRequested,
    ApprovalRevised,
    ApprovalStageOpened,
    ApprovalWithdrawn,
    Opening,
)
from domain.event import Event, Recorded
from domain.interest import Interest
from domain.values import derived_id, timestamp

EXPIRY = "approval-expiry"
REMINDER = "approval-reminder"
ESCALATION = "approval-escalation"
LOOK_AGAIN = "approval-look-again"
_SOON_SECONDS = 60.0

_Asked = ApprovalRequested | ApprovalRevised | ApprovalStageOpened
_Ended = ApprovalApproved | ApprovalRejected | ApprovalWithdrawn | ApprovalExpired


class ApprovalTimers(TimerKeeper):
    """Keeps the timers of approvals.

    Reminders and escalations of a stage that has ended find that out when they are due.
    """

    name = "approval-timers"
    wants = Interest(
        ApprovalRequested | ApprovalRevised,
        where=lambda event: event.opening is not None or event.expires_at is not None,
    ) | Interest(ApprovalStageOpened | _Ended)

    def __init__(self, timers: Timers, *, look_again_seconds: float) -> None:
        super().__init__(timers)
        self._look_again_seconds = look_again_seconds

    def ended(self, event: Event) -> Sequence[str]:
        """Return the expiry of an approval that has ended, and its check of who is left."""
        if not isinstance(event, _Ended):
            return []
        return [derived_id(kind, event.approval_id) for kind in (EXPIRY, LOOK_AGAIN)]

    def begun(self, recorded: Recorded) -> Sequence[Timer]:
        """Return the timers of an approval, and of a stage that opens."""
        event = recorded.event
        if not isinstance(event, _Asked):
            return []
        timers = []
        if not isinstance(event, ApprovalStageOpened) and event.expires_at is not None:
            timers.append(_expiry(event, event.expires_at, recorded))
        if event.opening is None:
            return timers
        if not isinstance(event, ApprovalStageOpened):
            every = self._look_again_seconds
            unchecked = isinstance(event, ApprovalRequested) and event.unchecked
            first = recorded.timestamp + timedelta(seconds=min(every, _SOON_SECONDS) if unchecked else every)
            again = _timer(LOOK_AGAIN, first, event.approval_id, recorded)
            timers.append(msgspec.structs.replace(again, every_seconds=every))
        return [*timers, *_of_stage(event.opening, event.approval_id, recorded)]


def _of_stage(opening: Opening, approval_id: str, recorded: Recorded) -> Sequence[Timer]:
    moments = [
        *((REMINDER, number, at) for number, at in enumerate(opening.remind_at, start=1)),
        *((ESCALATION, number, each.at) for number, each in enumerate(opening.escalate, start=1)),
    ]
    return [
        _timer(kind, at, approval_id, recorded, round=opening.round, stage=opening.stage, number=number)
        for kind, number, at in moments
    ]


def _expiry(event: ApprovalRequested | ApprovalRevised, at: datetime, recorded: Recorded) -> Timer:
    """Return the timer of an expiry. That of a revision has its own id, because an earlier timer for the same
    time may be firing just now."""
    timer = _timer(EXPIRY, at, event.approval_id, recorded)
    if isinstance(event, ApprovalRequested):
        return timer
    id = derived_id(timer.id, recorded.identity)
    return msgspec.structs.replace(timer, id=id, meta=msgspec.structs.replace(timer.meta, command_id=id))


def _timer(kind: str, due_at: datetime, approval_id: str, recorded: Recorded, **place: int) -> Timer:
    id = derived_id(kind, approval_id, *map(str, place.values()))
    payload: dict[str, str | int] = {"approval_id": approval_id, **place}
    return timer_of(recorded, id=id, kind=kind, due_at=due_at, payload=payload)


def _expired(timer: Timer) -> Command:
    return ExpireApproval(meta=timer.meta, approval_id=str(timer.payload["approval_id"]), due_at=timer.due_at)


def _reminded(timer: Timer) -> Command:
    approval_id, round, stage, number = _place(timer)
    return RemindOfApproval(meta=timer.meta, approval_id=approval_id, round=round, stage=stage, number=number)


def _escalated(timer: Timer) -> Command:
    approval_id, round, stage, number = _place(timer)
    return EscalateApproval(meta=timer.meta, approval_id=approval_id, round=round, stage=stage, number=number)


def _looked_again(timer: Timer) -> Command:
    """Return the command. Each time it is a command of its own."""
    command_id = derived_id(timer.id, timestamp(timer.due_at))
    return LookAgainAtApproval(
        meta=msgspec.structs.replace(timer.meta, command_id=command_id),
        approval_id=str(timer.payload["approval_id"]),
    )


def _place(timer: Timer) -> tuple[str, int, int, int]:
    round, stage, number = (int(timer.payload[name]) for name in ("round", "stage", "number"))
    return str(timer.payload["approval_id"]), round, stage, number


COMMANDS: Mapping[str, Callable[[Timer], Command]] = {
    EXPIRY: _expired,
    REMINDER: _reminded,
    ESCALATION: _escalated,
    LOOK_AGAIN: _looked_again,
}
"""The command that each kind of timer stands for."""
