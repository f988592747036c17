"""Steps of kind ``approval``: a person is asked, and the decision is the step's result.

``input`` gives ``riskScore`` and ``amount`` (0 where it does not), and may give ``opportunityId``,
``ownerId``, ``approverId``, ``recipientId`` and ``approvalUrl``. The result tells the ``outcome``,
``approved`` or ``rejected``, so that conditions can lead on from there. A step that is out of time has
failed, and nobody is asked any longer.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from application.commands import Command, CompleteStep, FailStep, RequestApproval, WithdrawApproval
from application.policies.reaction import because_of, text_of
from domain.approval import ApprovalApproved, ApprovalRejected
from domain.errors import Refusal
from domain.event import Event, Recorded
from domain.values import LONGEST_ID, MAX_NUMBER, StepRef, derived_id, is_amount, is_id, timestamp
from domain.workflow import StepCancelled, StepDispatched, StepFailed

KIND = "approval"

_WEB_ADDRESS = re.compile(r"https?://[^\x00-\x20\x7f]{1,2040}")


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
        fault = _fault_of(input)
        if opportunity_id is None or fault is not None:
            return FailStep(
                meta=because_of(recorded, self.name),
                workflow_id=event.workflow_id,
                step=event.step_id,
                attempt=event.attempt,
                error=fault or "an approval is for an opportunity, and none is named",
                reason="rejected",
            )
        return RequestApproval(
            meta=because_of(recorded, self.name),
            approval_id=approval_id_of(event.step_id, event.attempt),
            opportunity_id=opportunity_id,
            risk_score=input.get("riskScore") or 0,
            amount=input.get("amount") or 0,
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


def _fault_of(input: Mapping[str, Any]) -> str | None:
    """What a request over REST would be refused for as well."""
    for name in ("opportunityId", "ownerId", "approverId", "recipientId"):
        if input.get(name) is not None and not is_id(input[name]):
            return f"{name}: must be a text of 1 to {LONGEST_ID} characters, without control characters"
    for name in ("riskScore", "amount"):
        if input.get(name) is not None and not is_amount(input[name]):
            return f"{name}: must be a number between {-MAX_NUMBER} and {MAX_NUMBER}"
    address = input.get("approvalUrl")
    if address is not None and not (isinstance(address, str) and _WEB_ADDRESS.fullmatch(address)):
        return "approvalUrl: must be a web address of at most 2048 characters"
    return None
