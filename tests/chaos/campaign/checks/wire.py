"""What goes out: each event that is told of at least once, under one id, with one body, in its order."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from tests.chaos.campaign.checks.case import Case, Finding
from tests.chaos.campaign.evidence import Seen
from tests.chaos.campaign.stored import StoredEvent
from tests.contract.amqp import PUBLISHED_TYPES

Data = dict[str, Any]
Key = tuple[str, str, str, bytes]
"""Tenant, type, time and data: what makes a message the one of its event."""


def moment(text: str) -> str:
    """A stored time as the wire has it: UTC, milliseconds and ``Z``."""
    at = datetime.fromisoformat(text).astimezone(UTC)
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _decided(event: StoredEvent) -> tuple[str, Data]:
    return "hitl.approval.completed", {
        "tenantId": event.meta["tenant"],
        "opportunityId": event.data["opportunity_id"],
        "approvalId": event.data["approval_id"],
        "approved": event.topic == "approval.approved",
        "decidedBy": event.data["decided_by"],
        "decidedAt": moment(event.data["decided_at"]),
    }


def _fired(event: StoredEvent) -> tuple[str, Data]:
    return "workflow.job.trigger", {
        "job": event.data["job"],
        "metadata": event.data["metadata"],
        "triggeredBy": event.data["triggered_by"],
        "timestamp": moment(event.data["fired_at"]),
    }


def _picked(message_type: str | None, **names: str) -> Callable[[StoredEvent], tuple[str, Data]]:
    """A message whose data are fields of the event; names of the wire to names of the log."""

    def told(event: StoredEvent) -> tuple[str, Data]:
        data = {
            wire: moment(event.data[stored]) if wire == "timestamp" else event.data[stored]
            for wire, stored in names.items()
        }
        return message_type or event.data["parameters"]["request"], data

    return told


TOLD: dict[str, Callable[[StoredEvent], tuple[str, Data]]] = {
    "approval.approved": _decided,
    "approval.rejected": _decided,
    "job.fired": _fired,
    "workflow.started": _picked(
        "workflow.opportunity.analysis.started",
        workflowId="workflow_id",
        opportunityId="opportunity_id",
        timestamp="started_at",
    ),
    "workflow.step_dispatched": _picked(
        None, workflowId="workflow_id", opportunityId="opportunity_id", stepId="step_id"
    ),
    "workflow.step_completed": _picked(
        "workflow.step.completed",
        workflowId="workflow_id",
        stepId="step_id",
        stepType="step_type",
        result="result",
    ),
    "workflow.completed": _picked(
        "workflow.opportunity.analysis.completed",
        workflowId="workflow_id",
        opportunityId="opportunity_id",
        results="results",
        timestamp="completed_at",
    ),
    "workflow.failed": _picked(
        "workflow.opportunity.analysis.failed",
        workflowId="workflow_id",
        opportunityId="opportunity_id",
        error="error",
        failedStep="failed_step",
    ),
}
"""The events that the neighbours are told of, as the contract words it (section 1, "Published")."""


def expected(case: Case) -> dict[Key, list[StoredEvent]]:
    """The events that go out, by what their message must say."""
    found = defaultdict(list)
    for event in case.events:
        if tell := TOLD.get(event.topic):
            message_type, data = tell(event)
            found[_key(event.meta["tenant"], message_type, moment(event.state["at"]), data)].append(event)
    return found


def published(case: Case) -> list[Seen]:
    """What the service said: everything on the wire but what the neighbours sent."""
    return [seen for seen in case.seen if seen.body.get("id") not in case.sent_ids]


def key_of(seen: Seen) -> Key:
    """What makes this message the one of its event."""
    body = seen.body
    return _key(body["tenantId"], body["type"], body["timestamp"], body["data"])


def check(case: Case) -> Iterator[Finding]:
    """Every event that is told of, and every message of the service."""
    wanted = expected(case)
    by_key: dict[Key, list[Seen]] = defaultdict(list)
    by_id: dict[str, list[Seen]] = defaultdict(list)
    for seen in published(case):
        by_key[key_of(seen)].append(seen)
        by_id[str(seen.body["id"])].append(seen)
        yield from _check_belonging(case, seen)
    for key, events in wanted.items():
        ids = {seen.body["id"] for seen in by_key.get(key, ())}
        for event in events[len(ids) :]:
            yield Finding(
                kind="lost", about=f"{event.stream}@{event.version}", what=f"{key[1]} never went out"
            )
        if len(ids) > len(events):
            about = f"{events[0].stream}@{events[0].version}"
            yield Finding(kind="doubled", about=about, what=f"{key[1]} went out under {len(ids)} ids")
    for key in by_key.keys() - wanted.keys():
        seen = by_key[key][0]
        what = f"{key[1]} stands for no event: {seen.body['data']}"
        yield Finding(kind="invented", about=seen.body["id"], what=what)
    for id, repeats in by_id.items():
        if len({msgspec.json.encode(_without_source(seen.body), order="sorted") for seen in repeats}) > 1:
            yield Finding(kind="differs", about=id, what="one id was given to messages that differ")
    yield from _check_order(wanted, by_key)


def check_queues(case: Case) -> Iterator[Finding]:
    """What lies in the queues at the end: every trigger for the worker, and nothing else."""
    for id in case.own_queue:
        yield Finding(kind="stuck", about=id, what="a message was left in the own queue")
    for id in case.dead_letters:
        yield Finding(kind="lost", about=id, what="a good message was parked")
    kept = set(case.job_queue)
    triggers = {seen.body["id"] for seen in published(case) if seen.body["type"] == "workflow.job.trigger"}
    for id in triggers - kept:
        yield Finding(kind="lost", about=id, what="a trigger is not in the queue of the job's worker")


def _check_belonging(case: Case, seen: Seen) -> Iterator[Finding]:
    body = seen.body
    if (
        body["type"] not in PUBLISHED_TYPES
        or seen.routing_key != body["type"]
        or seen.message_id != body["id"]
    ):
        yield Finding(kind="odd", about=str(body["id"]), what=f"{body['type']} under {seen.routing_key}")
    data = body["data"]
    thing = data.get("approvalId") or data.get("workflowId") or data.get("job")
    owner = case.owners.get(thing)
    if owner is not None and (owner != body["tenantId"] or data.get("tenantId", owner) != owner):
        what = f"{body['type']} says {body['tenantId']} of {owner}'s {thing}"
        yield Finding(kind="crossed", about=str(body["id"]), what=what)


def _check_order(wanted: dict[Key, list[StoredEvent]], by_key: dict[Key, list[Seen]]) -> Iterator[Finding]:
    """First occurrences follow their aggregate's order."""
    first: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key, events in wanted.items():
        if len(events) == 1 and key in by_key:
            (event,) = events
            first[event.stream].append((event.version, by_key[key][0].number))
    for stream, places in first.items():
        numbers = [number for _, number in sorted(places)]
        if numbers != sorted(numbers):
            yield Finding(kind="disordered", about=stream, what="its messages came in another order")


def _key(tenant: str, message_type: str, timestamp: str, data: Data) -> Key:
    return tenant, message_type, timestamp, msgspec.json.encode(data, order="sorted")


def _without_source(body: Data) -> Data:
    return {name: value for name, value in body.items() if name != "source"}
