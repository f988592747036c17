"""Everything that the service can be asked to do, in imperative names.

``meta`` says who asks, for which tenant and through what; its ``command_id`` makes a repeated
command harmless. ``expected_version`` is the version the caller has seen (``If-Match``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.event import Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What all commands carry."""

    meta: Metadata
    expected_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestApproval(Command):
    """Ask a person to decide on a deal; ``requested_at`` is now if silent."""

    approval_id: str
    opportunity_id: str
    risk_score: int | float
    amount: int | float
    requested_at: datetime | None = None
    owner_id: str | None = None
    approver_id: str | None = None
    recipient_id: str | None = None
    correlation_id: str | None = None
    approval_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveApproval(Command):
    """Let the deal go on."""

    approval_id: str
    decided_by: str
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectApproval(Command):
    """Stop the deal."""

    approval_id: str
    decided_by: str
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWorkflow(Command):
    """Run a definition for an opportunity; its newest version if none is named."""

    workflow_id: str
    opportunity_id: str
    definition: str
    version: int | None = None
    input: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteStep(Command):
    """Take a neighbour's answer to a step."""

    workflow_id: str
    step_type: str
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailStep(Command):
    """Take a neighbour's report that a step failed."""

    workflow_id: str
    step_type: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOutStep(Command):
    """Give up on a step's ``attempt`` that has not been answered by ``due_at``, its deadline."""

    workflow_id: str
    step_type: str
    attempt: int
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryWorkflow(Command):
    """Open the next execution of a workflow."""

    workflow_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FireJob(Command):
    """Open the run of a cron firing. ``schedule`` is the cron expression that named the time."""

    job: str
    nominal_at: datetime
    schedule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerJob(Command):
    """Open a run by hand, with metadata for the worker."""

    job: str
    run_id: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteJobRun(Command):
    """Take the worker's report of success; it ended now if the report does not say when."""

    job: str
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailJobRun(Command):
    """Take the worker's report of failure; it ended now if the report does not say when."""

    job: str
    error: str
    failed_at: datetime | None = None
