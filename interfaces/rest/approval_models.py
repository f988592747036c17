"""Bodies and query strings about approvals and delegations, as ``openapi.yaml`` names their members."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from domain.approval import Approver, Policy, Status, faults_of
from domain.faults import Fault
from interfaces.approvals.policy import ChosenPolicy, PolicyDocument
from interfaces.fields import (
    Comment,
    Digest,
    Flag,
    Id,
    Instant,
    JsonObject,
    Number,
    Reason,
    Silent,
    Subject,
    WebAddress,
)
from interfaces.rest.models import ApiModel, CreatedWithin, Paging, Query

T = TypeVar("T")

_PAYLOAD = TypeAdapter[dict[str, Any]](JsonObject)
_DUE_AT = TypeAdapter[datetime](Instant)


class CreateApprovalRequest(ApiModel):
    """The body of ``POST /hitl/approvals``; times are in UTC."""

    opportunity_id: Id
    risk_score: Number
    amount: Number
    requested_at: Silent[Instant] = None
    owner_id: Silent[Id] = None
    approver_id: Silent[Id] = None
    recipient_id: Silent[Id] = None
    correlation_id: Silent[Id] = None
    approval_url: Silent[WebAddress] = None
    subject: Silent[Subject] = None
    payload: Silent[JsonObject] = None
    policy: Silent[ChosenPolicy] = None
    due_at: Silent[Instant] = None

    @property
    def chosen_policy(self) -> str | Policy | None:
        """The policy's name, or the policy itself, if the request has one."""
        return self.policy.policy() if isinstance(self.policy, PolicyDocument) else self.policy


def rules_broken(body: Mapping[str, Any], now: datetime) -> list[Fault]:
    """Return the rules that a request breaks as far as it can be read, if it is not valid as a whole."""
    payload, due_at = _read(_PAYLOAD, body.get("payload")), _read(_DUE_AT, body.get("dueAt"))
    return [fault for each in faults_of(payload, due_at, now) for fault in each.faults]


def _read(kind: TypeAdapter[T], given: object) -> T | None:
    try:
        return kind.validate_python(given)
    except ValidationError:
        return None


class DecisionRequest(ApiModel):
    """The body of ``POST /hitl/approvals/{id}/approve`` and ``/reject``."""

    decided_by: Id
    comment: Silent[Comment] = None
    payload_digest: Silent[Digest] = None
    stage: Silent[Id] = None
    on_behalf_of: Silent[Id] = None


class OneDecision(DecisionRequest):
    """One of many decisions."""

    approval_id: Id
    decision: Literal["approve", "reject"]


class DecisionsRequest(ApiModel):
    """The body of ``POST /hitl/approvals/decisions``."""

    decisions: list[OneDecision] = Field(min_length=1, max_length=100)


class ReassignRequest(ApiModel):
    """The body of ``POST /hitl/approvals/{id}/reassign``, which names either a user or a group."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["to"]}, {"required": ["toGroup"]}]},
    )

    to: Silent[Id] = None
    to_group: Silent[Id] = None
    reason: Reason

    @model_validator(mode="after")
    def _is_to_one(self) -> Self:
        if (self.to is None) == (self.to_group is None):
            raise PydanticCustomError("one_of", "Input should name either to or toGroup")
        return self

    @property
    def approver(self) -> Approver:
        """The user or group that is named."""
        return Approver(user=self.to, group=self.to_group)


class CommentRequest(ApiModel):
    """The body of ``POST /hitl/approvals/{id}/comments``."""

    text: Reason


class ReviseRequest(ApiModel):
    """The body of ``POST /hitl/approvals/{id}/revise``: the facts that have changed."""

    amount: Silent[Number] = None
    risk_score: Silent[Number] = None
    subject: Silent[Subject] = None
    payload: Silent[JsonObject] = None
    reason: Silent[Reason] = None


class DelegateRequest(ApiModel):
    """The body of ``POST /hitl/delegations``. ``by`` is the person who is away, by default the caller."""

    by: Silent[Id] = None
    to: Id
    starts_at: Silent[Instant] = None
    ends_at: Instant
    reason: Silent[Reason] = None


class ApprovalFilters(CreatedWithin, Paging):
    """The query of ``GET /hitl/approvals``."""

    status: Silent[Status] = None
    opportunity_id: Silent[Id] = None
    assignee: Silent[Id] = None
    overdue: Silent[Flag] = None


class InboxOf(Query):
    """The query of ``GET /hitl/approvals/counts``."""

    assignee: Silent[Id] = None


class DelegationFilters(Paging):
    """The query of ``GET /hitl/delegations``."""

    by: Silent[Id] = None
    to: Silent[Id] = None
