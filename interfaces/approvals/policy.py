"""The models of an approval policy: who decides, how many must agree, and until when.

The models check shapes and bounds. Rules between members are in :mod:`domain.approval.policy`; they are
checked for each stage by itself, so that the faults of all stages are found.
"""

from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    StringConstraints,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from domain.approval.policy import MOST_SEATS, Agree, Approver, Escalation, Policy, Stage
from interfaces.approvals.business_time import BusinessTime
from interfaces.approvals.faults import raise_faults
from interfaces.fields import DefinitionName, Id, Silent, as_integer
from interfaces.rest.models import ApiModel

MOST_STAGES = 10
MOST_APPROVERS = 20
MOST_REMINDERS = 10
MOST_ESCALATIONS = 5
MOST_PLACES = 50

_PLACE = r"^[^.\x00-\x1f\x7f]+(\.[^.\x00-\x1f\x7f]+)*$"
_SEATS = {"type": "integer", "minimum": 1, "maximum": MOST_SEATS}


def _whole(value: object) -> int | None:
    number = as_integer(value)
    if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= MOST_SEATS:
        return number
    return None


def _agree(value: object) -> Agree:
    if value == "all":
        return "all"
    number = 1 if value == "any" else _whole(value)
    if number is None:
        raise PydanticCustomError(
            "agree", "Input should be any, all, or a whole number from 1 to {most}", {"most": MOST_SEATS}
        )
    return number


def _count_or_all(value: object) -> int | None:
    number = _whole(value)
    if number is None and value != "all":
        raise PydanticCustomError(
            "count", "Input should be all, or a whole number from 1 to {most}", {"most": MOST_SEATS}
        )
    return number


Count = Annotated[int, Field(ge=1, le=MOST_SEATS), BeforeValidator(as_integer)]
CountOrAll = Annotated[
    int | None,
    PlainValidator(_count_or_all),
    WithJsonSchema({"anyOf": [{"type": "string", "enum": ["all"]}, _SEATS]}),
]
Agreement = Annotated[
    Agree,
    PlainValidator(_agree),
    WithJsonSchema({"anyOf": [{"type": "string", "enum": ["all", "any"]}, _SEATS]}),
]
Place = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=_PLACE)]


class UserApprover(ApiModel):
    """A user who is asked."""

    user: Id

    def approver(self) -> Approver:
        """Return the domain's object."""
        return Approver(user=self.user)


class GroupApprover(ApiModel):
    """A number of members of a group, or all of them."""

    group: Id
    count: CountOrAll = 1

    def approver(self) -> Approver:
        """Return the domain's object."""
        return Approver(group=self.group, count=self.count)


class RoleApprover(ApiModel):
    """A number of people with a role."""

    role: Id
    count: Count = 1

    def approver(self) -> Approver:
        """Return the domain's object."""
        return Approver(role=self.role, count=self.count)


_KINDS: dict[str, type[ApiModel]] = {"user": UserApprover, "group": GroupApprover, "role": RoleApprover}


def _of_its_kind(value: Any, _: ValidatorFunctionWrapHandler) -> Any:
    """Validate an approver as the kind that it names: a union would also report the faults of the other
    kinds."""
    named = [kind for kind in _KINDS if kind in value] if isinstance(value, dict) else []
    if len(named) != 1:
        raise PydanticCustomError("approver", "Input should be one of user, group and role, with its name")
    return _KINDS[named[0]].model_validate(value)


ApproverDocument = Annotated[UserApprover | GroupApprover | RoleApprover, WrapValidator(_of_its_kind)]
Approvers = Annotated[list[ApproverDocument], Field(min_length=1, max_length=MOST_APPROVERS)]


class EscalationDocument(ApiModel):
    """Who is asked in addition, and after how long."""

    after: BusinessTime
    to: Approvers

    def escalation(self) -> Escalation:
        """Return the domain's object."""
        return Escalation(after_seconds=self.after, to=tuple(each.approver() for each in self.to))


class StageDocument(ApiModel):
    """A stage. The times of reminders and escalations are working time since it has opened."""

    name: Id
    approvers: Approvers
    agree: Agreement = "all"
    rejections: Count = 1
    remind_after: Annotated[list[BusinessTime], Field(default_factory=list, max_length=MOST_REMINDERS)]
    escalate: Annotated[list[EscalationDocument], Field(default_factory=list, max_length=MOST_ESCALATIONS)]

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        raise_faults("stage", self.stage().faults())
        return self

    def stage(self) -> Stage:
        """Return the domain's object."""
        return Stage(
            name=self.name,
            approvers=tuple(each.approver() for each in self.approvers),
            agree=self.agree,
            rejections=self.rejections,
            remind_after_seconds=tuple(self.remind_after),
            escalations=tuple(each.escalation() for each in self.escalate),
        )


class PolicyDocument(ApiModel):
    """A policy. An approval is ``due`` after this working time, and expires ``grace`` after that."""

    stages: Annotated[list[StageDocument], Field(min_length=1, max_length=MOST_STAGES)]
    due: Silent[BusinessTime] = None
    grace: BusinessTime = 0.0
    bound_to: Silent[Annotated[list[Place], Field(max_length=MOST_PLACES)]] = None
    reason_on_rejection: bool = False

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        raise_faults("policy", self.policy().faults())
        return self

    def policy(self) -> Policy:
        """Return the domain's object."""
        return Policy(
            stages=tuple(each.stage() for each in self.stages),
            due_after_seconds=self.due,
            grace_seconds=self.grace,
            bound_to=None if self.bound_to is None else tuple(self.bound_to),
            reason_on_rejection=self.reason_on_rejection,
        )


PolicyName = DefinitionName
_name = TypeAdapter[str](PolicyName)


def _named_or_described(value: Any, _: ValidatorFunctionWrapHandler) -> Any:
    """Validate a name or a policy, by its type: a union would report faults at places that do not exist."""
    if isinstance(value, dict):
        return PolicyDocument.model_validate(value)
    if isinstance(value, str):
        return _name.validate_python(value)
    raise PydanticCustomError("policy", "Input should be a policy's name, or a policy")


ChosenPolicy = Annotated[PolicyName | PolicyDocument, WrapValidator(_named_or_described)]
"""The name of a policy, or a policy written out in full."""
