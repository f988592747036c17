"""The message types of the wire contract (section 1): what a type alias may stand for."""

CONSUMED = (
    "integration.opportunity.updated",
    "shard.updated",
    "risk.evaluation.completed",
    "risk.evaluation.failed",
    "risk.scoring.completed",
    "forecast.completed",
    "recommendation.generation.completed",
    "recommendation.generation.failed",
    "hitl.approval.requested",
    "workflow.job.completed",
    "workflow.job.failed",
)
PUBLISHED = (
    "workflow.job.trigger",
    "workflow.opportunity.analysis.started",
    "workflow.risk.analysis.requested",
    "workflow.risk.scoring.requested",
    "workflow.forecast.requested",
    "workflow.recommendation.requested",
    "workflow.step.completed",
    "workflow.opportunity.analysis.completed",
    "workflow.opportunity.analysis.failed",
    "hitl.approval.completed",
)
DOCUMENTED = frozenset(CONSUMED + PUBLISHED)
