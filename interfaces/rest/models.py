"""Bodies and query strings of requests, as ``openapi.yaml`` names their members.

A test compares these models with the contract's schemas. Responses have no models: they are the projections'
documents, and tests check them against the contract directly.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Literal, Self, TypedDict

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from domain.faults import Fault, shortened
from domain.job import RunStatus
from domain.values import timestamp_from
from domain.workflow.state import WorkflowStatus
from interfaces.fields import (
    AsOf,
    ClaimedAtOnce,
    Comment,
    Cursor,
    DefinitionName,
    Id,
    Instant,
    JsonObject,
    JsonValue,
    LeaseSeconds,
    Limit,
    OwnId,
    PreviewCount,
    QueueName,
    Reason,
    Silent,
    Version,
    VersionInQuery,
    WaitSeconds,
)
from interfaces.findings import findings

MOST_FAULTS = 100
"""How many faults a response lists."""

TaskStatus = Literal["offered", "claimed", "completed", "failed", "revoked"]


def field_at(place: Iterable[str | int]) -> str:
    """Return the name of the field at a place in a body."""
    return shortened(".".join(map(str, place))) or "body"


def faults(error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """Return the faults of input for a ``model``, without its values. If there are more than ``MOST_FAULTS``,
    return the first ones and the number of others. If there are so many that listing them would block the
    event loop, return only that."""
    count = error.error_count()
    if count > 10 * MOST_FAULTS:
        return [Fault("body", f"has more than {10 * MOST_FAULTS} faults, such as unknown members")]
    told = [Fault(field_at(place), message) for place, message in islice(findings(error, model), MOST_FAULTS)]
    more = count - len(told)
    return [*told, Fault("body", f"has {more} more faults")] if more else told


class ApiModel(BaseModel):
    """A model with camelCase names in JSON. Unknown members and values of a wrong type are refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)


class StartWorkflowRequest(ApiModel):
    """The body of ``POST /workflows``."""

    definition: DefinitionName = "opportunity-analysis"
    version: Silent[Version] = None
    opportunity_id: Silent[Id] = None
    input: Silent[JsonObject] = None


class RetryRequest(ApiModel):
    """The body of ``POST /workflows/{workflowId}/retry``. ``from_step`` is a step's type or ID."""

    from_step: Silent[OwnId] = None
    input: Silent[JsonObject] = None
    reason: Silent[Reason] = None


class ReasonRequest(ApiModel):
    """The body of a command that requires a reason."""

    reason: Reason


class OptionalReasonRequest(ApiModel):
    """The body of a command that may have a reason."""

    reason: Silent[Reason] = None


class NothingToSayRequest(ApiModel):
    """The body of a command that has no members."""


class CompleteStepRequest(ApiModel):
    """The body of ``POST /workflows/{workflowId}/steps/{stepId}/complete``."""

    result: JsonValue


class SortRange(TypedDict):
    """The bounds of a query of documents, in the form of the times in documents."""

    sort_from: str | None
    sort_before: str | None


class CreatedWithin(ApiModel):
    """A filter by the time of creation, in UTC."""

    created_after: Silent[Instant] = None
    created_before: Silent[Instant] = None

    @property
    def sort_range(self) -> SortRange:
        """The filter for a query of documents that are sorted by their time of creation."""
        after, before = self.created_after, self.created_before
        return SortRange(
            sort_from=None if after is None else timestamp_from(after),
            sort_before=None if before is None else timestamp_from(before),
        )


class BulkFilter(CreatedWithin):
    """The filter of a bulk action, with at least one member."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    opportunity_id: Silent[Id] = None
    status: Silent[WorkflowStatus] = None
    definition: Silent[DefinitionName] = None

    @model_validator(mode="after")
    def _narrows(self) -> Self:
        if not self.model_fields_set:
            message = "Input should have at least one member: an empty filter would select everything"
            raise PydanticCustomError("narrow", message)
        return self


class BulkRequest(ApiModel):
    """The body of ``POST /workflows/bulk``."""

    action: Literal["retry", "cancel"]
    filter: BulkFilter
    reason: Reason
    dry_run: bool = False


class TriggerJobRequest(ApiModel):
    """The body of ``POST /jobs/{job}/trigger``."""

    metadata: JsonObject = Field(default={})


class ClaimTasksRequest(ApiModel):
    """The body of ``POST /tasks/claim``. Without ``wait_seconds`` the response comes at once."""

    queue: QueueName
    worker_id: Id
    max: ClaimedAtOnce = 1
    lease_seconds: LeaseSeconds = 60
    wait_seconds: WaitSeconds = 0


class HeartbeatTaskRequest(ApiModel):
    """The body of ``POST /tasks/{taskId}/heartbeat``."""

    lease_token: Id
    lease_seconds: Silent[LeaseSeconds] = None


class CompleteTaskRequest(ApiModel):
    """The body of ``POST /tasks/{taskId}/complete``."""

    lease_token: Id
    output: JsonObject = Field(default={})


class FailTaskRequest(ApiModel):
    """The body of ``POST /tasks/{taskId}/fail``."""

    lease_token: Id
    error: Comment
    retryable: bool = True


class ReleaseTaskRequest(ApiModel):
    """The body of ``POST /tasks/{taskId}/release``."""

    lease_token: Id


class Query(ApiModel):
    """A query string. A parameter that is given twice is refused, even with the same value."""

    @field_validator("*", mode="before")
    @classmethod
    def _is_given_once(cls, value: object) -> object:
        if isinstance(value, list):
            raise PydanticCustomError("repeated", "is given more than once")
        return value

    @classmethod
    def read(cls, parameters: Iterable[tuple[str, str]]) -> Self:
        """Return the query in ``parameters``, which are decoded.

        Raises:
            ValidationError: they are not valid; :func:`faults` lists the faults.
        """
        values: dict[str, str | list[str]] = {}
        for name, value in parameters:
            values[name] = value if name not in values else [value]
        return cls.model_validate(values)


class Paging(Query):
    """The query of a list without filters, and the base of those with filters."""

    limit: Limit = 50
    cursor: Silent[Cursor] = None


class WorkflowFilters(CreatedWithin, Paging):
    """The query of ``GET /workflows``."""

    opportunity_id: Silent[Id] = None
    status: Silent[WorkflowStatus] = None
    definition: Silent[DefinitionName] = None


class RunFilters(Paging):
    """The query of ``GET /jobs/{job}/runs``."""

    status: Silent[RunStatus] = None
    backfill_id: Silent[OwnId] = None


class PreviewQuery(Query):
    """The query of ``GET /jobs/{job}/preview``: how many firings, and after which moment, by default now."""

    count: PreviewCount = 10
    start: Silent[Instant] = Field(default=None, alias="from")


class TaskFilters(Paging):
    """The query of ``GET /tasks``."""

    queue: Silent[QueueName] = None
    status: Silent[TaskStatus] = None


class WhichVersion(Query):
    """The query of a route about one version of a definition."""

    version: Silent[VersionInQuery] = None


class AsOfQuery(Query):
    """The query of a route that can return an earlier state."""

    as_of: Silent[AsOf] = None


class NoQuery(Query):
    """The query of a route that takes no parameters."""
