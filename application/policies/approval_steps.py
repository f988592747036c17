"""Steps of kind ``approval``: a person is asked, and the decision is the step's result.

``input`` gives ``riskScore`` and ``amount`` (0 where it does not), and may give ``opportunityId``,
``ownerId``, ``approverId``, ``recipientId`` and ``approvalUrl``. The result tells the ``outcome``,
``approved`` or ``rejected``, so that conditions can lead on from there. A step that is out of time has
failed, and nobody is asked any longer.
"""

from collections.abc import Sequence

from application.commands import Command, CompleteStep, FailStep, RequestApproval, WithdrawApproval
from application.policies.reaction import because_of, number_of, text_of
from domain.approval import ApprovalApproved, ApprovalRejected
from domain.errors import Refusal
from domain.event import Event, Recorded
from domain.values import StepRef, derived_id, timestamp
from domain.workflow import StepCancelled, StepDispatched, StepFailed

KIND = "approval"


class ApprovalSteps:
    """Opens approvals for steps, and tells the steps how they ended."""

    name = "approval-steps"

    def wants(self, event: Event) -> bool:
        """Steps of this kind, and decisions that a step waits for."""
        match event:
            case StepDispatched() | StepCancelled() | StepFailed():
                return event.kind == KIND
            case ApprovalApproved() | ApprovalRejected():
                return event.step is not None
        return False

    def commands(self, recorded: Recorded) -> Sequence[Command]:
        """Ask, ask no longer, or pass the decision on."""
        match event := recorded.event:
            case StepDispatched():
                return [self._ask(recorded, event)]
            case StepCancelled():
                return [self._ask_no_longer(recorded, event, "its step was cancelled")]
            case StepFailed(reason="timed_out"):
                return [self._ask_no_longer(recorded, event, "it was not decided in time")]
            case ApprovalApproved() | ApprovalRejected() if event.step is not None:
                return [self._pass_on(recorded, event, event.step)]
        return []

    def after_refusal(self, recorded: Recorded, refusal: Refusal) -> Sequence[Command]:
        """A workflow that is gone, or an approval that never came to be, is no reason to stop."""
        return []

    def _ask(self, recorded: Recorded, event: StepDispatched) -> Command:
        input = event.input
        opportunity_id = event.opportunity_id or text_of(input.get("opportunityId"))
        if opportunity_id is None:
            return FailStep(
                meta=because_of(recorded, self.name),
                workflow_id=event.workflow_id,
                step=event.step_id,
                attempt=event.attempt,
                error="an approval is for an opportunity, and none is named",
                reason="rejected",
            )
        return RequestApproval(
            meta=because_of(recorded, self.name),
            approval_id=approval_id_of(event.step_id, event.attempt),
            opportunity_id=opportunity_id,
            risk_score=number_of(input, "riskScore") or 0,
            amount=number_of(input, "amount") or 0,
            requested_at=event.dispatched_at,
            owner_id=text_of(input.get("ownerId")),
            approver_id=text_of(input.get("approverId")),
            recipient_id=text_of(input.get("recipientId")),
            approval_url=text_of(input.get("approvalUrl")),
            step=StepRef(workflow_id=event.workflow_id, step_id=event.step_id, attempt=event.attempt),
        )

    def _ask_no_longer(
        self, recorded: Recorded, event: StepCancelled | StepFailed, reason: str
    ) -> WithdrawApproval:
        return WithdrawApproval(
            meta=because_of(recorded, self.name),
            approval_id=approval_id_of(event.step_id, event.attempt),
            reason=reason,
        )

    def _pass_on(
        self, recorded: Recorded, event: ApprovalApproved | ApprovalRejected, step: StepRef
    ) -> CompleteStep:
        comment = {} if event.comment is None else {"comment": event.comment}
        return CompleteStep(
            meta=because_of(recorded, self.name),
            workflow_id=step.workflow_id,
            step=step.step_id,
            attempt=step.attempt,
            result={
                "outcome": "approved" if isinstance(event, ApprovalApproved) else "rejected",
                "approvalId": event.approval_id,
                "decidedBy": event.decided_by,
                "decidedAt": timestamp(event.decided_at),
                **comment,
            },
        )


def approval_id_of(step_id: str, attempt: int) -> str:
    """The id of the approval that a dispatch of a step asks for."""
    return derived_id("approval", step_id, str(attempt))
