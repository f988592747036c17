"""Each consumed type: what its ``data`` must hold, and the command for it."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import structlog
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from application.approval_commands import RequestApproval
from application.command import Command
from application.job_commands import CompleteJobRun, FailJobRun
from application.workflow_commands import RequestRun, TakeReply
from domain.definition import OPPORTUNITY_ANALYSIS
from domain.event import Metadata
from domain.values import SYSTEM_TENANT, derived_id, in_utc, is_uuid
from domain.workflow import PlatformAnswer
from interfaces import fields
from interfaces.fields import Number, WebAddress
from interfaces.messaging.envelope import Envelope, OfNumber, Unreadable, WireModel, faults

log = structlog.get_logger(__name__)


def _moment(value: object) -> object:
    """Return a time in UTC, from ISO form (without a zone it counts as UTC) or from milliseconds since
    1970."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            raise ValueError("must be a time that exists") from None
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be an ISO 8601 time") from None
    return in_utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _nothing_if_empty(value: object) -> object:
    """Neighbours also use an empty text for nothing."""
    return None if value == "" else value


Id = Annotated[fields.Id, OfNumber]

Optional = BeforeValidator(_nothing_if_empty)

Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]


def _nothing_if_of_no_use(
    value: object, validate: ValidatorFunctionWrapHandler, field: ValidationInfo
) -> Any:
    """A sender must not lose an important message because of a time or a link that it adds."""
    try:
        return validate(_nothing_if_empty(value))
    except ValidationError:
        log.warning("field_left_out", field=field.field_name, why="it is not what the contract says")
        return None


Decoration = WrapValidator(_nothing_if_of_no_use)


class OpportunityUpdated(WireModel):
    """``integration.opportunity.updated``."""

    opportunity_id: Id

    def command(self, envelope: Envelope) -> Command:
        """Analyse the opportunity."""
        return _analysis(envelope, self.opportunity_id)


class ShardUpdated(WireModel):
    """``shard.updated``, which matters only if the shard is an opportunity."""

    shard_id: Annotated[Id | None, Optional] = None
    id: Annotated[Id | None, Optional] = None

    def command(self, envelope: Envelope) -> Command:
        """Analyse the opportunity that the shard is."""
        opportunity_id = self.shard_id or self.id
        if opportunity_id is None:
            raise Unreadable("data.shardId: is required")
        return _analysis(envelope, opportunity_id)


class AskedOfPeople(WireModel):
    """What people are to decide on, in the words of the contract, for a message and for documents."""

    opportunity_id: Id
    risk_score: Number
    amount: Number
    requested_at: Annotated[Moment | None, Decoration] = None
    owner_id: Annotated[Id | None, Optional] = None
    approver_id: Annotated[Id | None, Optional] = None
    recipient_id: Annotated[Id | None, Optional] = None
    correlation_id: Annotated[Id | None, Decoration] = None
    approval_url: Annotated[WebAddress | None, Decoration] = None

    def request(
        self, meta: Metadata, approval_id: str, *, requested_by: str | None = None
    ) -> RequestApproval:
        """Return the command that opens an approval. The sender cannot be told that nobody could decide
        it."""
        return RequestApproval(
            meta=meta,
            approval_id=approval_id,
            opportunity_id=self.opportunity_id,
            risk_score=self.risk_score,
            amount=self.amount,
            requested_at=self.requested_at,
            owner_id=self.owner_id,
            approver_id=self.approver_id,
            recipient_id=self.recipient_id,
            correlation_id=self.correlation_id,
            approval_url=self.approval_url,
            requested_by=requested_by,
            must_open=True,
        )


class ApprovalRequestedMessage(AskedOfPeople):
    """``hitl.approval.requested``."""

    def command(self, envelope: Envelope) -> Command:
        """Open the approval that this message asks for."""
        tenant = envelope.require_tenant()
        approval_id = derived_id("approval", tenant, envelope.message_id)
        return self.request(envelope.caused_by(tenant), approval_id, requested_by=envelope.user)


AsItIs = Annotated[Any, Field()]
"""What a step's result takes from a reply: it must be there, and is what the service says."""


class _Reply(WireModel):
    """What the replies to a step have in common."""

    workflow_id: Annotated[str, AfterValidator(str.lower)]


class RiskEvaluationCompleted(_Reply):
    """``risk.evaluation.completed``."""

    evaluation_id: AsItIs
    risk_score: AsItIs
    detected_risks: AsItIs

    def command(self, envelope: Envelope) -> Command:
        """Complete ``risk_analysis``."""
        return _completion(self, envelope, "risk_analysis", "evaluation_id", "risk_score", "detected_risks")


class RiskScoringCompleted(_Reply):
    """``risk.scoring.completed``."""

    scoring_id: AsItIs
    ml_risk_score: AsItIs
    model_id: AsItIs
    confidence: AsItIs

    def command(self, envelope: Envelope) -> Command:
        """Complete ``risk_scoring``."""
        return _completion(
            self, envelope, "risk_scoring", "scoring_id", "ml_risk_score", "model_id", "confidence"
        )


class ForecastCompleted(_Reply):
    """``forecast.completed``."""

    forecast_id: AsItIs
    revenue_forecast: AsItIs
    confidence: AsItIs

    def command(self, envelope: Envelope) -> Command:
        """Complete ``forecast``."""
        return _completion(self, envelope, "forecast", "forecast_id", "revenue_forecast", "confidence")


class RecommendationCompleted(_Reply):
    """``recommendation.generation.completed``."""

    recommendation_id: AsItIs
    recommendations: list[Any]

    @property
    def count(self) -> int:
        """How many recommendations there are. The step's result has this too."""
        return len(self.recommendations)

    def command(self, envelope: Envelope) -> Command:
        """Complete ``recommendation``."""
        return _completion(self, envelope, "recommendation", "recommendation_id", "recommendations", "count")


class _ReplyFailed(_Reply):
    error: Any = None


class RiskEvaluationFailed(_ReplyFailed):
    """``risk.evaluation.failed``."""

    def command(self, envelope: Envelope) -> Command:
        """Fail ``risk_analysis``."""
        return _failure(self, envelope, "risk_analysis")


class RecommendationFailed(_ReplyFailed):
    """``recommendation.generation.failed``."""

    def command(self, envelope: Envelope) -> Command:
        """Fail ``recommendation``."""
        return _failure(self, envelope, "recommendation")


_LONGEST_ERROR = 4_000
"""The most characters of a neighbour's error."""

_FAILED = frozenset(("failed", "failure", "error", "timed_out"))


class JobCompleted(WireModel):
    """``workflow.job.completed``: the job is over. If its ``status`` says that it failed, it did."""

    job: Id
    status: Any = None
    error: Any = None
    completed_at: Annotated[Moment | None, Decoration] = None

    def command(self, envelope: Envelope) -> Command:
        """Close the run that it belongs to, or the job's newest open one."""
        if isinstance(self.status, str) and self.status.strip().lower() in _FAILED:
            return _failed_job(envelope, self.job, self.error, self.completed_at)
        return CompleteJobRun(
            meta=envelope.caused_by(SYSTEM_TENANT),
            job=self.job,
            reference=envelope.correlation_id,
            completed_at=self.completed_at,
        )


class JobFailed(WireModel):
    """``workflow.job.failed``."""

    job: Id
    error: Any = None
    failed_at: Annotated[Moment | None, Decoration] = None

    def command(self, envelope: Envelope) -> Command:
        """Close the run that it belongs to, or the job's newest open one."""
        return _failed_job(envelope, self.job, self.error, self.failed_at)


CONSUMED: Mapping[str, type[WireModel]] = {
    "integration.opportunity.updated": OpportunityUpdated,
    "shard.updated": ShardUpdated,
    "risk.evaluation.completed": RiskEvaluationCompleted,
    "risk.evaluation.failed": RiskEvaluationFailed,
    "risk.scoring.completed": RiskScoringCompleted,
    "forecast.completed": ForecastCompleted,
    "recommendation.generation.completed": RecommendationCompleted,
    "recommendation.generation.failed": RecommendationFailed,
    "hitl.approval.requested": ApprovalRequestedMessage,
    "workflow.job.completed": JobCompleted,
    "workflow.job.failed": JobFailed,
}
"""Every type to which the own queue is bound."""


def command_for(envelope: Envelope, opportunity_shard_types: Collection[str]) -> Command | None:
    """Return the command for a message, or None if it is not for this service.

    Raises:
        Unreadable: the data does not hold what the contract says.
    """
    model = CONSUMED.get(envelope.type)
    if model is None or _is_for_others(model, envelope.data, opportunity_shard_types):
        return None
    try:
        message: Any = model.model_validate(envelope.data)
    except ValidationError as error:
        raise Unreadable(faults(error, model, "data.")) from error
    command: Command = message.command(envelope)
    return command


def reply_in(envelope: Envelope) -> TakeReply | None:
    """Return a message as the reply that some definition may take it for, if it names a workflow."""
    workflow_id = envelope.data.get("workflowId")
    return _reply(envelope, workflow_id) if isinstance(workflow_id, str) and is_uuid(workflow_id) else None


def _is_for_others(
    model: type[WireModel], data: Mapping[str, Any], opportunity_shard_types: Collection[str]
) -> bool:
    """Return whether it is a shard of another type, or a reply to nothing of ours. Its other content does not
    concern us then."""
    if issubclass(model, ShardUpdated):
        return not any(data.get(name) in opportunity_shard_types for name in ("shardTypeName", "shardType"))
    return issubclass(model, _Reply) and not is_uuid(data.get("workflowId"))


def _analysis(envelope: Envelope, opportunity_id: str) -> RequestRun:
    tenant = envelope.require_tenant()
    return RequestRun(
        meta=envelope.caused_by(tenant),
        workflow_id=derived_id("workflow", tenant, envelope.message_id),
        opportunity_id=opportunity_id,
        definition=OPPORTUNITY_ANALYSIS.name,
    )


def _completion(message: _Reply, envelope: Envelope, step_type: str, *fields: str) -> TakeReply:
    alias = WireModel.model_config["alias_generator"]
    result = {alias(field): getattr(message, field) for field in fields}  # type: ignore[operator, misc]
    return _reply(envelope, message.workflow_id, PlatformAnswer(step_type=step_type, result=result))


def _failure(message: _ReplyFailed, envelope: Envelope, step_type: str) -> TakeReply:
    answer = PlatformAnswer(step_type=step_type, error=_error_text(message.error))
    return _reply(envelope, message.workflow_id, answer)


def _reply(envelope: Envelope, workflow_id: str, answer: PlatformAnswer | None = None) -> TakeReply:
    return TakeReply(
        meta=envelope.caused_by(envelope.require_tenant()),
        workflow_id=workflow_id.lower(),
        message_type=envelope.type,
        data=envelope.data,
        answer=answer,
    )


def _failed_job(envelope: Envelope, job: str, error: object, failed_at: datetime | None) -> Command:
    return FailJobRun(
        meta=envelope.caused_by(SYSTEM_TENANT),
        job=job,
        reference=envelope.correlation_id,
        error=_error_text(error),
        failed_at=failed_at,
    )


def _error_text(error: object) -> str:
    """Return a neighbour's error: a text, or the message of an error object, or all of it if there is
    none."""
    if isinstance(error, Mapping):
        error = error.get("message") or error
    if not error:
        return "the service gave no reason"
    text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    return text[:_LONGEST_ERROR]
