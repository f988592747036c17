"""Bodies and query strings about backfills, as ``openapi.yaml`` names their members."""

from typing import Literal

from pydantic import Field

from interfaces.fields import BackfillDays, DateOrMoment, JsonObject, MaxActive, Silent
from interfaces.rest.models import ApiModel, Paging

BackfillStatus = Literal["running", "cancelling", "completed", "completed_with_failures", "cancelled"]


class StartBackfillRequest(ApiModel):
    """The body of ``POST /jobs/{job}/backfills``. ``end`` is exclusive."""

    start: DateOrMoment = Field(alias="from")
    end: DateOrMoment = Field(alias="to")
    window_days: BackfillDays = 1
    metadata: JsonObject = Field(default={})
    max_active: MaxActive = 1
    dry_run: bool = False


class BackfillFilters(Paging):
    """The query of ``GET /jobs/{job}/backfills``."""

    status: Silent[BackfillStatus] = None
