"""Steps of kind ``approval``: people are asked, and their decision is the step's result.

``input`` says what is to be decided (:data:`application.approval_input.NAMES`). ``riskScore`` and ``amount``
are 0 if it does not give them, everything else may be absent. The result has the ``outcome``, ``approved``,
``rejected``, ``expired`` or ``withdrawn``, so that conditions can depend on it. No decision fails a step.
Once a step has failed, for example because its time is over, nobody is asked any longer.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from application.approval_commands import RequestApproval, WithdrawApproval
from application.approval_input import input_faults
from application.command import Command
from application.policies.reaction import because_of, rejected, text_of
from application.workflow_commands import CompleteStep
from domain.approval import (
    ApprovalApproved,
    ApprovalExpired,
    ApprovalRejected,
    ApprovalWithdrawn,
    approval_id_of,
)
from domain.errors import Refusal
from domain.event import Recorded
from domain.interest import Interest
from domain.values import StepRef, in_utc, is_person, timestamp
from domain.workflow import StepCancelled, StepDispatched, StepFailed
from domain.workflow.step import APPROVAL

_Ended = ApprovalApproved | ApprovalRejected | ApprovalExpired | ApprovalWithdrawn


class ApprovalSteps:
    """Opens approvals for steps, and passes their outcomes to the steps."""

    name = "approval-steps"
    wants = (
        Interest(StepDispatched, where=lambda event: event.kind == APPROVAL and not event.void)
        | Interest(StepCancelled | StepFailed, where=lambda event: event.kind == APPROVAL)
        | Interest(
            ApprovalApproved | ApprovalRejected | ApprovalExpired | ApprovalWithdrawn,
            where=lambda event: event.step is not None,
        )
    )
    """Steps of this kind, and decisions that a step waits for."""

    def commands(self, recorded: Recorded) -> Sequence[Command]:
        """Ask for a decision, stop asking, or pass the decision on."""
        match event := recorded.event:
            case StepDispatched():
                return [self._ask(recorded, event)]
            case StepCancelled():
                return [self._ask_no_longer(recorded, event, "its step was cancelled")]
            case StepFailed(reason="timed_out"):
                return [self._ask_no_longer(recorded, event, "it was not decided in time")]
            case StepFailed():
                return [self._ask_no_longer(recorded, event, "its step has failed")]
            case ApprovalWithdrawn() if recorded.meta.actor == self._own_name:
                return []  # nobody's decision: the step has ended, and so it is asked no longer
            case ApprovalApproved() | ApprovalRejected() | ApprovalExpired() | ApprovalWithdrawn():
                return [] if event.step is None else [self._pass_on(recorded, event, event.step)]
        return []

    def after_refusal(self, recorded: Recorded, refusal: Refusal) -> Sequence[Command]:
        """A step fails if its approval cannot be asked for. Any other refusal is ignored."""
        event = recorded.event
        if not isinstance(event, StepDispatched):
            return []
        return [rejected(recorded, self.name, refusal.in_a_line, "fail")]

    @property
    def _own_name(self) -> str:
        return f"system:{self.name}"

    def _ask(self, recorded: Recorded, event: StepDispatched) -> Command:
        input = event.input
        opportunity_id = event.opportunity_id or text_of(input.get("opportunityId"))
        faults = [f"{fault.field}: {fault.message}" for fault in input_faults(input)]
        if opportunity_id is None or faults:
            reason = "; ".join(faults) or "an approval needs an opportunityId"
            return rejected(recorded, self.name, reason, "fail")
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
            requested_by=text_of(input.get("requestedBy")),
            subject=text_of(input.get("subject")),
            payload=input.get("payload"),
            policy=text_of(input.get("policy")),
            due_at=_moment(input.get("dueAt")),
            step=StepRef(workflow_id=event.workflow_id, step_id=event.step_id, attempt=event.attempt),
        )

    def _ask_no_longer(
        self, recorded: Recorded, event: StepCancelled | StepFailed, reason: str
    ) -> WithdrawApproval:
        return WithdrawApproval(
            meta=because_of(recorded, self.name),
            approval_id=approval_id_of(event.step_id, event.attempt),
            reason=reason,
            by=self._own_name,
            may_do_all=True,
        )

    def _pass_on(self, recorded: Recorded, event: _Ended, step: StepRef) -> CompleteStep:
        return CompleteStep(
            meta=because_of(recorded, self.name),
            workflow_id=step.workflow_id,
            step=step.step_id,
            attempt=step.attempt,
            result={"approvalId": event.approval_id, **_outcome(event, recorded.meta.actor)},
        )


def _outcome(event: _Ended, actor: str) -> Mapping[str, str]:
    """Return the step's result. It names who said what, so that this is sealed under their key."""
    match event:
        case ApprovalExpired():
            return {"outcome": "expired"}
        case ApprovalWithdrawn():
            by = {"withdrawnBy": actor} if is_person(actor) else {}
            return {"outcome": "withdrawn", "reason": event.reason, **by}
    comment = {} if event.comment is None else {"comment": event.comment}
    return {
        "outcome": "approved" if isinstance(event, ApprovalApproved) else "rejected",
        "decidedBy": event.decided_by,
        "decidedAt": timestamp(event.decided_at),
        **comment,
    }


def _moment(value: object) -> datetime | None:
    """Return a time that :func:`input_faults` has checked."""
    return None if value is None else in_utc(datetime.fromisoformat(str(value)))
