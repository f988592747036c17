"""Approvals: load, decide, append."""

from collections.abc import Callable, Mapping
from datetime import datetime

from application.commands import (
    ApproveApproval,
    Command,
    RejectApproval,
    RequestApproval,
    WithdrawApproval,
)
from application.deciders import Committed
from application.dispatcher import Handler
from application.event_store import EventStore
from application.ports import Clock
from domain import approval
from domain.approval import Approval, ApprovalRequested, approval_stream
from domain.errors import ApprovalNotFound
from domain.event import Event


class ApprovalHandlers:
    """Everything that can be asked of approvals."""

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Which method handles which command."""
        return {
            RequestApproval: self.request_approval,
            ApproveApproval: self.approve_approval,
            RejectApproval: self.reject_approval,
            WithdrawApproval: self.withdraw_approval,
        }

    async def request_approval(self, command: RequestApproval) -> Committed:
        """Open an approval; one that is already there is left as it is."""
        now = self._clock.now()
        requested = ApprovalRequested(
            approval_id=command.approval_id,
            opportunity_id=command.opportunity_id,
            risk_score=command.risk_score,
            amount=command.amount,
            requested_at=command.requested_at or now,
            owner_id=command.owner_id,
            approver_id=command.approver_id,
            recipient_id=command.recipient_id,
            correlation_id=command.correlation_id,
            approval_url=command.approval_url,
            step=command.step,
        )
        return await self._store.execute(
            approval_stream(command.meta.tenant, command.approval_id),
            evolve=approval.evolve,
            decide=lambda state: approval.request(state, requested),
            meta=command.meta,
            now=now,
        )

    async def approve_approval(self, command: ApproveApproval) -> Committed:
        """Let the deal go on."""
        return await self._decide(
            command,
            lambda state, now: approval.approve(
                state, decided_by=command.decided_by, comment=command.comment, now=now
            ),
        )

    async def reject_approval(self, command: RejectApproval) -> Committed:
        """Stop the deal."""
        return await self._decide(
            command,
            lambda state, now: approval.reject(
                state, decided_by=command.decided_by, comment=command.comment, now=now
            ),
        )

    async def withdraw_approval(self, command: WithdrawApproval) -> Committed:
        """Ask no longer."""
        return await self._decide(
            command, lambda state, now: approval.withdraw(state, reason=command.reason, now=now)
        )

    async def _decide(
        self,
        command: ApproveApproval | RejectApproval | WithdrawApproval,
        decide: Callable[[Approval, datetime], tuple[Event, ...]],
    ) -> Committed:
        now = self._clock.now()

        def decide_existing(state: Approval | None) -> tuple[Event, ...]:
            if state is None:
                raise ApprovalNotFound(f"there is no approval {command.approval_id}")
            return decide(state, now)

        return await self._store.execute(
            approval_stream(command.meta.tenant, command.approval_id),
            evolve=approval.evolve,
            decide=decide_existing,
            meta=command.meta,
            now=now,
            expected_version=command.expected_version,
        )
