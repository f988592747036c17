"""Query strings about the audit trail, as ``openapi.yaml`` names their members."""

from typing import Literal

from interfaces.fields import Id, MomentOrPosition, Silent, Stretch
from interfaces.rest.models import Paging, Query


class TrailFilters(Query):
    """A filter of the tenant's events. ``after`` and ``before`` exclude the time or position itself."""

    type: Silent[Id] = None
    aggregate_id: Silent[Id] = None
    actor: Silent[Id] = None
    correlation_id: Silent[Id] = None
    after: Silent[MomentOrPosition] = None
    before: Silent[MomentOrPosition] = None


class TrailQuery(TrailFilters, Paging):
    """The query of ``GET /audit/events``."""

    order: Literal["asc", "desc"] = "asc"


class CheckQuery(Paging):
    """The query of ``GET /audit/verification``."""

    limit: Stretch = 5000
