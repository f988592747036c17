"""Each message of the neighbours had its effect once, however often it was delivered."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from tests.chaos.campaign.checks.case import Case, Finding, Kind
from tests.chaos.campaign.evidence import Sent
from tests.chaos.campaign.stored import StoredEvent

OPPORTUNITY_SHARDS = ("opportunity", "c_opportunity")

RESULTS = {
    "risk.evaluation.completed": ("risk_analysis", ("evaluationId", "riskScore", "detectedRisks")),
    "risk.scoring.completed": ("risk_scoring", ("scoringId", "mlRiskScore", "modelId", "confidence")),
    "forecast.completed": ("forecast", ("forecastId", "revenueForecast", "confidence")),
    "recommendation.generation.completed": ("recommendation", ("recommendationId", "recommendations")),
}
FAILURES = {"risk.evaluation.failed": "risk_analysis", "recommendation.generation.failed": "recommendation"}
REPORTS = {"workflow.job.completed": "job.run_completed", "workflow.job.failed": "job.run_failed"}
STEP_ENDS = ("workflow.step_completed", "workflow.step_failed")


class Message(msgspec.Struct, frozen=True):
    """A message over all its deliveries; ``counts`` once the broker has confirmed any of them."""

    first: Sent
    counts: bool


def check(case: Case) -> Iterator[Finding]:
    """Every message that the neighbours sent."""
    first: dict[str, Sent] = {}
    confirmed: set[str] = set()
    for sent in case.sent:
        first.setdefault(sent.id, sent)
        if sent.confirmed:
            confirmed.add(sent.id)
    seen = {each.body.get("id") for each in case.seen}
    for sent in first.values():
        message = Message(sent, sent.id in confirmed)
        if message.counts and sent.id not in seen:
            yield Finding(kind="odd", about=sent.id, what=f"{sent.type} was confirmed and not on the wire")
        yield from _check_message(case, message)


def _check_message(case: Case, message: Message) -> Iterator[Finding]:
    sent = message.first
    events = case.by_cause.get(sent.id, [])
    for event in events:
        tenant = event.stream.split("/", 1)[0]
        if tenant != sent.tenant:
            yield _finding("crossed", sent, f"of {sent.tenant} is in {event.stream}")
    if sent.type == "hitl.approval.requested":
        yield from _check_once(message, events, "approval.requested")
        yield from _check_fields(
            sent,
            events,
            {"opportunityId": "opportunity_id", "riskScore": "risk_score", "amount": "amount"},
        )
    elif sent.type == "integration.opportunity.updated":
        yield from _check_run(case, message, events, "opportunityId")
    elif sent.type == "shard.updated":
        if sent.data.get("shardTypeName") in OPPORTUNITY_SHARDS:
            yield from _check_run(case, message, events, "shardId")
        elif events:
            yield _finding("invented", sent, "is not for this service and left an event")
    elif sent.type in REPORTS:
        yield from _check_once(message, events, REPORTS[sent.type], "job.report_unmatched")
    else:
        yield from _check_reply(case, message, events)


def _check_run(case: Case, message: Message, events: list[StoredEvent], field: str) -> Iterator[Finding]:
    """A change has a run of its own, or one that began after it: then it was coalesced."""
    sent = message.first
    own = [event for event in events if event.topic == "workflow.started"]
    if len(own) > 1:
        yield _finding("doubled", sent, f"had its effect {len(own)} times")
    yield from _check_fields(sent, own, {field: "opportunity_id"})
    later = (
        event
        for event in case.events
        if event.topic == "workflow.started"
        and event.meta["tenant"] == sent.tenant
        and event.data.get("opportunity_id") == sent.data[field]
        and datetime.fromisoformat(event.state["at"]).timestamp() >= sent.at
    )
    if not own and message.counts and not any(later):
        yield _finding("lost", sent, "was confirmed, and no run has begun since")


def _check_once(message: Message, events: list[StoredEvent], *topics: str) -> Iterator[Finding]:
    count = sum(event.topic in topics for event in events)
    if count > 1:
        yield _finding("doubled", message.first, f"had its effect {count} times")
    if count == 0 and message.counts:
        yield _finding("lost", message.first, "was confirmed and had no effect")


def _check_fields(sent: Sent, events: list[StoredEvent], names: dict[str, str]) -> Iterator[Finding]:
    for event in events:
        for wire, stored in names.items():
            if sent.data[wire] != event.data.get(stored):
                yield _finding("untrue", sent, f"said {wire} {sent.data[wire]}, the log {event.data}")


def _check_reply(case: Case, message: Message, events: list[StoredEvent]) -> Iterator[Finding]:
    """A reply ends its step once, unless the step had ended by other means: then it ends nothing."""
    sent = message.first
    ends = [event for event in events if event.topic in STEP_ENDS]
    if len(ends) > 1:
        yield _finding("doubled", sent, f"ended {len(ends)} steps")
    step_type, fields = RESULTS.get(sent.type, (FAILURES.get(sent.type), ()))
    workflow = case.streams.get(f"{sent.tenant}/workflow/{sent.data['workflowId']}", [])
    for end in ends:
        if end.data["workflow_id"] != sent.data["workflowId"] or end.data["step_type"] != step_type:
            yield _finding("untrue", sent, f"ended {end.data['step_type']} of {end.data['workflow_id']}")
        for field in fields:
            if end.data["result"].get(field) != sent.data[field]:
                yield _finding("untrue", sent, f"said {field} {sent.data[field]}, the log {end.data}")
    if not ends and message.counts:
        others = [
            event for event in workflow if event.topic in STEP_ENDS and event.data["step_type"] == step_type
        ]
        if not others:
            yield _finding("lost", sent, "was confirmed, and its step has never ended")


def _finding(kind: Kind, sent: Sent, what: str) -> Finding:
    return Finding(kind=kind, about=sent.id, what=f"{sent.type} {what}")
