"""Steps of kind ``approval``: people are asked, and their decision is the step's result.

``input`` says what is to be decided (:data:`application.kinds.approval.INPUT`). ``riskScore`` and ``amount``
are 0 if it does not give them, everything else may be absent. The result has the ``outcome``, ``approved``,
``rejected``, ``expired`` or ``withdrawn``, so that conditions can depend on it. No decision fails a step.
Once a step has failed, for example because its time is over, nobody is asked any longer.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from application.approval_commands import RequestApproval, WithdrawApproval
from application.command import Command
from application.policies.reaction import because_of, rejected, text_of
from application.workflow_commands import CompleteStep
from domain.approval import (
    LONGEST_SUBJECT,
    ApprovalApproved,
    ApprovalExpired,
    ApprovalRejected,
    ApprovalWithdrawn,
    approval_id_of,
)
from domain.errors import Refusal
from domain.event import Recorded
from domain.interest import Interest
from domain.privacy import is_person
from domain.values import LONGEST_ID, MAX_NUMBER, StepRef, in_utc, is_amount, is_id, timestamp
from domain.workflow import StepCancelled, StepDispatched, StepFailed
from domain.workflow.step import APPROVAL

_Ended = ApprovalApproved | ApprovalRejected | ApprovalExpired | ApprovalWithdrawn

_WEB_ADDRESS = re.compile(r"https?://[^\x00-\x20\x7f]{1,2040}")


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
        fault = _fault_of(input)
        if opportunity_id is None or fault is not None:
            return rejected(recorded, self.name, fault or "an approval needs an opportunityId", "fail")
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
    """Return a time that :func:`_fault_of` has checked."""
    return None if value is None else in_utc(datetime.fromisoformat(str(value)))


def _is_moment(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _fault_of(input: Mapping[str, Any]) -> str | None:
    """Return the fault for which a request over REST would be refused too, if any."""
    for name in ("opportunityId", "ownerId", "approverId", "recipientId", "requestedBy", "policy"):
        if input.get(name) is not None and not is_id(input[name]):
            return f"{name}: must be a string of 1 to {LONGEST_ID} characters, without control characters"
    for name in ("riskScore", "amount"):
        if input.get(name) is not None and not is_amount(input[name]):
            return f"{name}: must be a number between {-MAX_NUMBER} and {MAX_NUMBER}"
    if input.get("dueAt") is not None and not _is_moment(input["dueAt"]):
        return "dueAt: must be an ISO 8601 time with an offset"
    if not isinstance(input.get("payload"), dict | None):
        return "payload: must be an object"
    subject = input.get("subject")
    if subject is not None and not (isinstance(subject, str) and 0 < len(subject) <= LONGEST_SUBJECT):
        return f"subject: must be a string of 1 to {LONGEST_SUBJECT} characters"
    address = input.get("approvalUrl")
    if address is not None and not (isinstance(address, str) and _WEB_ADDRESS.fullmatch(address)):
        return "approvalUrl: must be a web address of at most 2048 characters"
    return None
