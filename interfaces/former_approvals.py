"""Approvals in the documents of the platform's previous service (wire contract, section 3), and the command
that requests one here under the same ID, as ``hitl.approval.requested`` does.
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
"""The actor of these requests in the audit trail."""

PENDING = "pending"


def _own_id(value: str) -> str:
    """Check that an ID is a UUID in lower case, because routes only find these."""
    if not is_uuid(value) or canonical_id(value) != value:
        raise PydanticCustomError("uuid", "Input should be a UUID in lower case")
    return value


_OwnId = Annotated[str, AfterValidator(_own_id)]


class FormerApproval(AskedOfPeople):
    """A pending approval. All members that the contract requires must exist."""

    id: _OwnId
    tenant_id: _OwnId
    status: Literal["pending"]
    requested_at: Moment

    def command(self) -> RequestApproval:
        """Return the command that requests the approval here. A repeated one has no effect."""
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
    """Return the approval's state, if its document has one."""
    status = document.get("status")
    return status if is_id(status) else None


def former_approval(document: Mapping[str, Any]) -> FormerApproval:
    """Return a pending approval.

    Raises:
        Unreadable: the document does not have the form of the contract.
    """
    try:
        return FormerApproval.model_validate(document)
    except ValidationError as error:
        raise Unreadable(faults(error, FormerApproval)) from error


def not_kept(document: Mapping[str, Any]) -> set[str]:
    """Return the members that the contract does not name, which are not taken over."""
    return set(document) - _KNOWN
