"""What requests about the audit trail may say, in the words of ``openapi.yaml``."""

from typing import Literal

from interfaces.fields import Id, MomentOrPosition, Silent, Stretch
from interfaces.rest.models import Paging, Query


class TrailFilters(Query):
    """Which events of the tenant; ``after`` and ``before`` exclude the time or position that they name."""

    type: Silent[Id] = None
    aggregate_id: Silent[Id] = None
    actor: Silent[Id] = None
    correlation_id: Silent[Id] = None
    after: Silent[MomentOrPosition] = None
    before: Silent[MomentOrPosition] = None


class TrailQuery(TrailFilters, Paging):
    """The query of ``GET /audit/events``: oldest first, or newest first."""

    order: Literal["asc", "desc"] = "asc"


class CheckQuery(Paging):
    """The query of ``GET /audit/verification``."""

    limit: Stretch = 5000
