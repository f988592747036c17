"""The neighbours in a campaign: they answer what is asked on the wire, and tell of changes of their own.

Some of what they send is sent twice, and nothing keeps its order. A share of the answers says that a step has
failed, and some never come, until :meth:`Neighbourhood.answer_everything`.
"""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import anyio
import anyio.abc

from tests.chaos.campaign.checks.case import SYSTEM_TENANT
from tests.chaos.campaign.evidence import Evidence, Seen, Sent
from tests.chaos.campaign.load import OPPORTUNITIES
from tests.chaos.campaign.post import Post
from tests.neighbours import Names

NEVER_ANSWERED = 0.08
FAILING = 0.15
SENT_TWICE = 0.25
LONGEST_THOUGHT_SECONDS = 1.5
LONGEST_PAUSE_SECONDS = 3.0
"""Between the two deliveries of what is sent twice."""

COMPLETED = {
    "workflow.risk.analysis.requested": "risk.evaluation.completed",
    "workflow.risk.scoring.requested": "risk.scoring.completed",
    "workflow.forecast.requested": "forecast.completed",
    "workflow.recommendation.requested": "recommendation.generation.completed",
}
FAILED = {
    "workflow.risk.analysis.requested": "risk.evaluation.failed",
    "workflow.recommendation.requested": "recommendation.generation.failed",
}
JOB_TRIGGER = "workflow.job.trigger"
ANALYSIS_FAILED = "workflow.opportunity.analysis.failed"


class Neighbourhood:
    """All neighbours in one. ``on_failed`` is told of each workflow that has failed, and its tenant."""

    def __init__(
        self,
        url: str,
        names: Names,
        tenants: Sequence[str],
        evidence: Evidence,
        *,
        seed: str,
        rate: float,
        on_failed: Callable[[str, str], None],
    ) -> None:
        self._tenants = tenants
        self._dice = random.Random(f"{seed}/neighbours")
        self._rate = rate
        self._on_failed = on_failed
        self._post = Post(url, names, evidence, self._react)
        self._known: set[str] = set()
        self._unanswered: list[dict[str, Any]] = []
        self._thinking = 0
        self._tasks: anyio.abc.TaskGroup | None = None
        self._quiet = False

    @property
    def is_idle(self) -> bool:
        """Whether everything is answered, and every answer confirmed."""
        return self._post.is_idle and not self._thinking and not self._unanswered

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """They live meanwhile."""
        async with self._post.at_work(), anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._tell_of_changes)
            yield
            tasks.cancel_scope.cancel()

    def answer_everything(self) -> None:
        """From now on nothing new is told, and every request is answered, also those of the past."""
        self._quiet = True
        waiting, self._unanswered = self._unanswered, []
        for request in waiting:
            self._answer(request)

    def _react(self, seen: Seen) -> None:
        """A message that comes again is the same message, and is answered once."""
        body = seen.body
        if body["id"] in self._known:
            return
        self._known.add(body["id"])
        if body["type"] == ANALYSIS_FAILED:
            self._on_failed(body["tenantId"], body["data"]["workflowId"])
        elif body["type"] in COMPLETED or body["type"] == JOB_TRIGGER:
            if not self._quiet and self._dice.random() < NEVER_ANSWERED:
                self._unanswered.append(body)
            else:
                self._answer(body)

    def _answer(self, request: dict[str, Any]) -> None:
        data, tenant = request["data"], request["tenantId"]
        fails = self._dice.random() < FAILING
        if request["type"] == JOB_TRIGGER and fails:
            report = {"job": data["job"], "error": "the worker was tired"}
            self._think("workflow.job.failed", SYSTEM_TENANT, report)
        elif request["type"] == JOB_TRIGGER:
            report = {"job": data["job"], "status": "success"}
            self._think("workflow.job.completed", SYSTEM_TENANT, report)
        else:
            about = {"workflowId": data["workflowId"], "opportunityId": data["opportunityId"]}
            if fails and request["type"] in FAILED:
                self._think(FAILED[request["type"]], tenant, about | {"error": "no data"})
            else:
                reply = COMPLETED[request["type"]]
                self._think(reply, tenant, about | self._result(reply))

    def _result(self, reply: str) -> dict[str, Any]:
        score, ident = round(self._dice.random(), 2), self._id()
        match reply:
            case "risk.evaluation.completed":
                return {"evaluationId": ident, "riskScore": score, "detectedRisks": ["stalled"]}
            case "risk.scoring.completed":
                return {"scoringId": ident, "mlRiskScore": score, "modelId": "model-1", "confidence": 0.5}
            case "forecast.completed":
                return {"forecastId": ident, "revenueForecast": 90_000, "confidence": score}
        return {"recommendationId": ident, "recommendations": [{"action": "call"}, {"action": "wait"}]}

    def _think(self, message_type: str, tenant: str, data: dict[str, Any]) -> None:
        """Say it after a while, so that answers come in any order."""
        assert self._tasks is not None
        seconds = 0.0 if self._quiet else self._dice.uniform(0, LONGEST_THOUGHT_SECONDS)
        said = Sent(id=self._id(), type=message_type, tenant=tenant, data=data, confirmed=False, at=0)
        self._tasks.start_soon(self._say_later, said, seconds)
        if self._dice.random() < SENT_TWICE:
            again = seconds + self._dice.uniform(0, LONGEST_PAUSE_SECONDS)
            self._tasks.start_soon(self._say_later, said, again)

    async def _say_later(self, said: Sent, seconds: float) -> None:
        self._thinking += 1
        await anyio.sleep(seconds)
        self._thinking -= 1
        self._post.put(said)

    async def _tell_of_changes(self) -> None:
        """What happens in the neighbours' own houses."""
        dice = self._dice
        while not self._quiet:
            await anyio.sleep(dice.expovariate(self._rate))
            opportunity = f"opp-{dice.randrange(OPPORTUNITIES)}"
            tenant = dice.choice(self._tenants)
            match dice.choices(("changed", "shard", "other shard", "asked"), (3, 3, 1, 5)):
                case ["changed"]:
                    self._think("integration.opportunity.updated", tenant, {"opportunityId": opportunity})
                case ["shard"]:
                    data = {"shardId": opportunity, "shardTypeName": "c_opportunity"}
                    self._think("shard.updated", tenant, data)
                case ["other shard"]:
                    self._think("shard.updated", tenant, {"shardId": "note-1", "shardTypeName": "note"})
                case _:
                    amount = dice.randrange(10**6)
                    deal = {"opportunityId": opportunity, "riskScore": 0.9, "amount": amount}
                    self._think("hitl.approval.requested", tenant, deal)

    def _id(self) -> str:
        return str(UUID(int=self._dice.getrandbits(128), version=4))
