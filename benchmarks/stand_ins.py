"""Stand-ins for the neighbours, which answer a step's request at once, as the wire contract says.

This is deliberately not the service's own simulation (``interfaces/neighbours.py``): measurements must not
depend on the code that they measure. So nothing here imports the service's code.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import uuid4

import msgspec

STARTING = "integration.opportunity.updated"
COMPLETED = "workflow.opportunity.analysis.completed"
SERVICE = "stand-ins"

Reply = tuple[str, bytes]
"""A message's type and body."""

_ANSWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "workflow.risk.analysis.requested": (
        "risk.evaluation.completed",
        {"evaluationId": "e-1", "riskScore": 0.62, "detectedRisks": ["stalled in stage", "competitor named"]},
    ),
    "workflow.risk.scoring.requested": (
        "risk.scoring.completed",
        {"scoringId": "s-1", "mlRiskScore": 0.58, "modelId": "m-1", "confidence": 0.81},
    ),
    "workflow.forecast.requested": (
        "forecast.completed",
        {"forecastId": "f-1", "revenueForecast": 125_000, "confidence": 0.74},
    ),
    "workflow.recommendation.requested": (
        "recommendation.generation.completed",
        {"recommendationId": "r-1", "recommendations": [{"action": "book the economic buyer"}]},
    ),
}

REQUESTS = tuple(_ANSWERS)

_RUN = str(uuid4())[:24]
_numbers = count()


def reply_to(message_type: str, body: bytes) -> Reply:
    """Return the answer to one of ``REQUESTS``."""
    request = msgspec.json.decode(body)
    reply_type, result = _ANSWERS[message_type]
    about = {name: request["data"][name] for name in ("workflowId", "opportunityId")}
    return reply_type, message(reply_type, request["tenantId"], about | result)


def message(message_type: str, tenant: str, data: Mapping[str, Any]) -> bytes:
    """Return a message as a neighbour sends it."""
    return msgspec.json.encode(
        {
            "id": _new_id(),
            "type": message_type,
            "version": "1.0",
            "timestamp": datetime.now(UTC),
            "tenantId": tenant,
            "source": {"service": SERVICE, "instance": f"{SERVICE}-1"},
            "data": data,
        }
    )


class Workflows:
    """Counts the workflows of a measurement: ``total`` in all, ``at_once`` at the same time."""

    def __init__(self, total: int, at_once: int) -> None:
        self._left = total
        self._at_once = at_once
        self._running: set[str] = set()
        self.total = total
        self.completed = 0

    def first(self) -> list[str]:
        """Return the opportunities of the first workflows."""
        return [opportunity for _ in range(self._at_once) for opportunity in self._begin()]

    def next_after(self, body: bytes) -> list[str]:
        """Count a completion, and return the opportunity of the next workflow, if there is one.

        Raises:
            ValueError: it is incomplete, came twice, or is of a workflow that was not started.
        """
        data = msgspec.json.decode(body)["data"]
        if data["opportunityId"] not in self._running or None in data["results"].values():
            raise ValueError(f"this is no completion that was due: {body.decode()}")
        if len(data["results"]) != len(REQUESTS):
            raise ValueError(f"results are missing: {body.decode()}")
        self._running.discard(data["opportunityId"])
        self.completed += 1
        return self._begin()

    @property
    def are_done(self) -> bool:
        """Whether all workflows are completed."""
        return self.completed == self.total

    def _begin(self) -> list[str]:
        if self._left == 0:
            return []
        self._left -= 1
        opportunity = _new_id()
        self._running.add(opportunity)
        return [opportunity]


def _new_id() -> str:
    """Return an ID with a counter instead of random bytes: reading these from the system would release the
    interpreter's lock for each message, if this runs in the service's process."""
    return f"{_RUN}{next(_numbers):012x}"
