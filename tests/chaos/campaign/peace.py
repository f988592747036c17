"""Evidence of a small life in peace, from the real service: the checker must find nothing wrong with it.

It has one of everything that a campaign has, on names of its own, so that tests can spoil it piece by piece.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from config.container import build
from config.runtime import working
from config.transport import InProcessTransport
from tests.chaos.campaign.checks.case import SYSTEM_TENANT, Case
from tests.chaos.campaign.evidence import Asked, Evidence, Sent
from tests.chaos.campaign.neighbourhood import COMPLETED
from tests.chaos.campaign.stored import sqlite_documents, sqlite_events
from tests.contract.amqp import PUBLISHED_TYPES
from tests.harness import Service, eventually, settings_in

ANNA, BERT = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"
TENANTS = (ANNA, BERT)

RESULTS: Mapping[str, dict[str, Any]] = {
    "risk.evaluation.completed": {"evaluationId": "e", "riskScore": 0.5, "detectedRisks": []},
    "risk.scoring.completed": {"scoringId": "s", "mlRiskScore": 0.5, "modelId": "m", "confidence": 0.5},
    "forecast.completed": {"forecastId": "f", "revenueForecast": 1, "confidence": 0.5},
    "recommendation.generation.completed": {"recommendationId": "r", "recommendations": []},
}
NEIGHBOURS = (
    "integration.opportunity.updated",
    "shard.updated",
    "hitl.approval.requested",
    "risk.evaluation.failed",
    "workflow.job.completed",
    *RESULTS,
)


@dataclass
class Peace:
    """The service, its clients and its neighbours, all in this process."""

    service: Service
    evidence: Evidence = field(default_factory=Evidence)

    async def ask(
        self, kind: str, tenant: str, path: str, body: Any = None, *, target: str | None = None
    ) -> dict[str, Any]:
        """One request, noted."""
        asked = Asked(
            mark=str(uuid4()), kind=kind, tenant=tenant, path=path, instance=0, at=0, target=target, body=body
        )
        method = "GET" if kind in ("read", "list", "foreign") else "POST"
        async with self.service.client(tenant, **{"X-Correlation-ID": asked.mark}) as client:
            answer = await client.request(method, f"/api/v1{path}", json=body)
        asked.status, asked.answer = answer.status_code, answer.json()
        self.evidence.note_asked(asked)
        assert asked.answer is not None
        return asked.answer

    async def decide(self, tenant: str, approval: str, decision: str, person: str) -> None:
        """A decision, or the attempt at one."""
        path = f"/hitl/approvals/{approval}/{decision}"
        await self.ask(decision, tenant, path, {"decidedBy": person}, target=approval)

    async def tell(self, message_type: str, tenant: str, data: dict[str, Any], *, times: int = 1) -> None:
        """A neighbour's message, delivered so many times."""
        transport = self.service.container.transport
        assert isinstance(transport, InProcessTransport)
        sent = Sent(id=str(uuid4()), type=message_type, tenant=tenant, data=data, confirmed=True, at=0)
        body = {"id": sent.id, "type": message_type, "tenantId": tenant, "data": data}
        for _ in range(times):
            self.evidence.note_sent(sent)
            await transport.bus.send(message_type, msgspec.json.encode(body))

    async def seen(self, message_type: str, count: int = 1) -> list[dict[str, Any]]:
        """The data of the messages of a type, once there are so many."""

        async def enough() -> list[dict[str, Any]]:
            found = [seen.body["data"] for seen in self.evidence.seen if seen.body["type"] == message_type]
            return found if len(found) >= count else []

        found: list[dict[str, Any]] = await eventually(enough)
        return found


async def live_in_peace(folder: Path) -> Case:
    """A life, and the evidence of it."""
    async with AsyncExitStack() as stack:
        settings = settings_in(folder, BATCH_JOBS_ENABLED="false")
        container = await build(settings, stack)
        peace = Peace(Service(container))

        async def note(message_type: str, body: bytes) -> None:
            ident = str(msgspec.json.decode(body)["id"])
            peace.evidence.note_seen(redelivered=False, routing_key=message_type, message_id=ident, body=body)

        assert isinstance(container.transport, InProcessTransport)
        container.transport.bus.subscribe("everyone", (*PUBLISHED_TYPES, *NEIGHBOURS), note)
        async with working(container):
            await _live(peace)
            await peace.service.caught_up()
            await peace.seen("workflow.opportunity.analysis.completed", 3)
    documents = sqlite_documents(folder / "data" / "documents.db")
    return Case(
        tenants=TENANTS,
        asked=peace.evidence.asked,
        sent=peace.evidence.sent,
        seen=peace.evidence.seen,
        events=sqlite_events(folder / "data" / "events.db"),
        documents=documents,
        rebuilt=list(documents),
        job_queue=[
            seen.body["id"] for seen in peace.evidence.seen if seen.body["type"] == "workflow.job.trigger"
        ],
    )


async def _live(peace: Peace) -> None:
    deal = {"opportunityId": "opp-1", "riskScore": 0.9, "amount": 5}
    ours = (await peace.ask("ask", ANNA, "/hitl/approvals", deal))["id"]
    theirs = (await peace.ask("ask", BERT, "/hitl/approvals", deal))["id"]
    await peace.decide(ANNA, ours, "approve", "ada")
    await peace.decide(ANNA, ours, "reject", "bob")
    await peace.decide(ANNA, ours, "approve", "ada")
    await peace.ask("foreign", ANNA, f"/hitl/approvals/{theirs}", target=theirs)
    await peace.ask(
        "forbidden", ANNA, "/jobs/propagation/trigger", {"metadata": {"mark": "no"}}, target="propagation"
    )
    await peace.ask(
        "trigger",
        SYSTEM_TENANT,
        "/jobs/outcome-sync/trigger",
        {"metadata": {"mark": "m"}},
        target="outcome-sync",
    )
    await peace.seen("workflow.job.trigger")
    await peace.tell("workflow.job.completed", SYSTEM_TENANT, {"job": "outcome-sync"}, times=2)

    await peace.tell("hitl.approval.requested", ANNA, deal, times=2)
    await peace.tell("integration.opportunity.updated", ANNA, {"opportunityId": "opp-1"}, times=2)
    await peace.tell("shard.updated", BERT, {"shardId": "opp-1", "shardTypeName": "opportunity"})
    await peace.tell("shard.updated", BERT, {"shardId": "n", "shardTypeName": "note"})
    started = await peace.ask("start", BERT, "/workflows", {"opportunityId": "opp-2"})
    await peace.seen("workflow.recommendation.requested", 3)
    fails = started["workflowId"]
    await peace.tell("risk.evaluation.failed", BERT, {"workflowId": fails, "error": "no data"})
    await peace.seen("workflow.opportunity.analysis.failed")
    await peace.ask("retry", BERT, f"/workflows/{fails}/retry", target=fails)
    await peace.seen("workflow.risk.analysis.requested", 4)
    owners = {seen.body["data"].get("workflowId"): seen.body["tenantId"] for seen in peace.evidence.seen}
    for request, reply in COMPLETED.items():
        for workflow in {each["workflowId"] for each in await peace.seen(request)}:
            await peace.tell(reply, owners[workflow], {"workflowId": workflow, **RESULTS[reply]})
    await peace.seen("workflow.opportunity.analysis.completed", 3)
    await peace.service.caught_up()
    await peace.ask("read", ANNA, f"/hitl/approvals/{ours}", target=ours)
    await peace.ask("list", BERT, "/hitl/approvals")
    await peace.ask("list", BERT, "/workflows")
