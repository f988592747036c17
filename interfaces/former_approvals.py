"""Approvals in the documents of the platform's former service (wire contract, section 3), and the command
that makes one ours: what ``hitl.approval.requested`` stands for, under the id that people know it by.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ValidationError
from pydantic_core import PydanticCustomError

from application.approval_commands import RequestApproval
from domain.event import Metadata
from domain.values import canonical_id, derived_id, is_id, is_uuid
from interfaces.messaging.envelope import Unreadable, faults
from interfaces.messaging.messages import AskedOfPeople, Moment

ACTOR = "system:adopt"
"""Who has asked for such an approval, as far as the trail can tell."""

PENDING = "pending"


def _own_id(value: str) -> str:
    """Routes find a thing by a UUID in lower case alone, whatever case they are asked in."""
    if not is_uuid(value) or canonical_id(value) != value:
        raise PydanticCustomError("uuid", "Input should be a UUID in lower case")
    return value


_OwnId = Annotated[str, AfterValidator(_own_id)]


class FormerApproval(AskedOfPeople):
    """One that is pending. What the contract says that each has is not made up where it is missing."""

    id: _OwnId
    tenant_id: _OwnId
    status: Literal["pending"]
    requested_at: Moment

    def command(self) -> RequestApproval:
        """Ask for it here; what comes again asks for nothing new."""
        command_id = derived_id("adopt", self.tenant_id, self.id)
        correlation = self.correlation_id
        meta = Metadata(
            tenant=self.tenant_id,
            actor=ACTOR,
            correlation_id=canonical_id(str(correlation)) if is_uuid(correlation) else command_id,
            command_id=command_id,
        )
        return self.request(meta, self.id)


_KNOWN = {field.alias for field in FormerApproval.model_fields.values()}


def status_of(document: Mapping[str, Any]) -> str | None:
    """What has become of it, where its document says so."""
    status = document.get("status")
    return status if is_id(status) else None


def former_approval(document: Mapping[str, Any]) -> FormerApproval:
    """A pending one.

    Raises:
        Unreadable: the document does not hold what the contract says.
    """
    try:
        return FormerApproval.model_validate(document)
    except ValidationError as error:
        raise Unreadable(faults(error, FormerApproval)) from error


def not_kept(document: Mapping[str, Any]) -> set[str]:
    """The members that the contract does not name: they are in no approval of ours."""
    return set(document) - _KNOWN
