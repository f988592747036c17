"""SIMULATION. Stand-ins for the neighbouring services, for the demo and for trying things out.

They answer the service's requests as the wire contract says, with invented figures. The service itself does
not use them.
"""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from domain.values import timestamp

SIMULATED = "simulated-neighbours"

Reply = tuple[str, bytes]
"""A message's type and body."""

RISKS = ("no decision maker", "stalled in stage", "competitor named", "close date moved twice")
ADVICE = ("book the economic buyer", "send the business case", "agree a mutual close plan")

REQUESTS = (
    "workflow.risk.analysis.requested",
    "workflow.risk.scoring.requested",
    "workflow.forecast.requested",
    "workflow.recommendation.requested",
    "workflow.job.trigger",
)
"""The types of messages that the stand-ins receive."""


def reply_to(body: bytes, documented_type: Mapping[str, str] | None = None) -> Reply | None:
    """Return a neighbour's answer to a message of the service, or None if it is not a request.

    ``documented_type`` turns an alias on the wire into the documented type.
    """
    request = msgspec.json.decode(body)
    wire_type = request["type"]
    answer = _answer((documented_type or {}).get(wire_type, wire_type), request["data"])
    if answer is None:
        return None
    reply_type, data = answer
    correlation = request.get("metadata", {}).get("correlationId")
    return reply_type, message(reply_type, request["tenantId"], data, correlation_id=correlation)


def message(
    message_type: str, tenant: str, data: Mapping[str, Any], *, correlation_id: str | None = None
) -> bytes:
    """Return a message as a neighbour sends it."""
    body: dict[str, Any] = {
        "id": str(uuid4()),
        "type": message_type,
        "version": "1.0",
        "timestamp": timestamp(datetime.now(UTC)),
        "tenantId": tenant,
        "source": {"service": SIMULATED, "instance": f"{SIMULATED}-1"},
        "data": data,
    }
    if correlation_id:
        body["metadata"] = {"correlationId": correlation_id}
    return msgspec.json.encode(body)


def _answer(request_type: str, data: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    about = {key: data[key] for key in ("workflowId", "opportunityId") if key in data}
    match request_type:
        case "workflow.risk.analysis.requested":
            return "risk.evaluation.completed", about | {
                "evaluationId": str(uuid4()),
                "riskScore": round(random.uniform(0.2, 0.95), 2),
                "detectedRisks": random.sample(RISKS, 2),
            }
        case "workflow.risk.scoring.requested":
            return "risk.scoring.completed", about | {
                "scoringId": str(uuid4()),
                "mlRiskScore": round(random.uniform(0.2, 0.95), 2),
                "modelId": "simulated-model-1",
                "confidence": round(random.uniform(0.6, 0.99), 2),
            }
        case "workflow.forecast.requested":
            return "forecast.completed", about | {
                "forecastId": str(uuid4()),
                "revenueForecast": random.randrange(50_000, 500_000, 1_000),
                "confidence": round(random.uniform(0.6, 0.99), 2),
            }
        case "workflow.recommendation.requested":
            return "recommendation.generation.completed", about | {
                "recommendationId": str(uuid4()),
                "recommendations": [{"action": action} for action in random.sample(ADVICE, 2)],
            }
        case "workflow.job.trigger":
            return "workflow.job.completed", {
                "job": data["job"],
                "status": "success",
                "completedAt": timestamp(datetime.now(UTC)),
            }
    return None
