"""``hitl_delegations``: one document a delegation, out of the one stream of its tenant."""

from collections.abc import Mapping, Sequence

from domain.delegation import DelegationEnded, DelegationMade
from domain.event import Event, Recorded
from domain.values import timestamp
from projections.ports import Container, Json
from projections.projection import existing


class Delegations:
    """The fold of ``hitl_delegations``."""

    category = "delegations"
    kinds = DelegationMade | DelegationEnded

    def __init__(self, name: str = "hitl_delegations") -> None:
        self.container = Container(name, sort_field="createdAt", filter_fields=("by", "to"))

    def reads(self, event: Event) -> Sequence[str]:
        """The delegation that an event is about."""
        return [event.delegation_id] if isinstance(event, DelegationMade | DelegationEnded) else ()

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Follow the delegation."""
        match event := recorded.event:
            case DelegationMade():
                made: Json = {
                    "id": event.delegation_id,
                    "tenantId": recorded.meta.tenant,
                    "by": event.by,
                    "to": event.to,
                    "startsAt": timestamp(event.starts_at),
                    "endsAt": timestamp(event.ends_at),
                    "createdAt": timestamp(event.made_at),
                }
                optional = {"madeBy": event.made_by, "reason": event.reason}
                told = {name: value for name, value in optional.items() if value}
                return {event.delegation_id: made | told}
            case DelegationEnded():
                ended_at = timestamp(event.ended_at)
                return {event.delegation_id: existing(documents, event.delegation_id) | {"endedAt": ended_at}}
        return {}
