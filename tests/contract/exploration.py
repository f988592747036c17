"""A run of schemathesis: every phase and every check, and what it has seen."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from pydantic import ValidationError
from schemathesis.core.failures import Failure
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.openapi.checks import RejectedPositiveData

from interfaces.definitions.document import DefinitionDocument

DEFINITIONS = ("POST /api/v1/workflow-definitions", "PUT /api/v1/workflow-definitions/{name}")

_APPROVALS = "POST /api/v1/hitl/approvals"

BEYOND_SCHEMAS = {
    "GET /api/v1/audit/events": "after|before",
    "GET /api/v1/audit/export": "after|before",
    "anywhere": r"cursor|X-Min-Position|Last-Event-ID|opportunityId|X-User-(ID|Roles)",
    _APPROVALS: r"dueAt|policy(\.(due|grace|stages\.\d+\.(name|agree|approvers(\.\d+)?"
    r"|remindAfter\.\d+|escalate\.\d+\.after)))?",
    f"{_APPROVALS}/{{id}}/reject": "comment",
    "POST /api/v1/workflows/{workflowId}/steps/{stepId}/complete": "result",
    "POST /api/v1/jobs/{job}/trigger": r"metadata(\..*)?",
    "POST /api/v1/hitl/delegations": "X-User-ID|to|startsAt|endsAt",
    f"{_APPROVALS}/{{id}}/claim": "X-User-ID",
    "POST /api/v1/jobs/{job}/backfills": r"to|windowDays|metadata(\..+)?",
}
"""Which fields of an operation may be refused though they keep to their schemas."""

PHASES = ("examples", "coverage", "fuzzing", "stateful")


@dataclass
class Findings:
    """What a run has seen: the status codes of each operation, and the links that led to another."""

    faults: list[str] = field(default_factory=list)
    answers: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    links: set[tuple[str, str]] = field(default_factory=set)
    checks: set[str] = field(default_factory=set)
    phases: set[str] = field(default_factory=set)

    @property
    def told(self) -> str:
        """Every fault, with the request that shows it."""
        return "\n\n".join(self.faults)

    def take(self, recorder: ScenarioRecorder) -> None:
        """Add what one scenario has seen."""
        for case_id, node in recorder.cases.items():
            interaction = recorder.interactions.get(case_id)
            if interaction is None or interaction.response is None:
                continue
            label = node.value.operation.label
            self.answers[label][interaction.response.status_code] += 1
            if node.parent_id and node.transition and node.is_transition_applied:
                self.links.add((recorder.cases[node.parent_id].value.operation.label, label))
        for check in (check for checks in recorder.checks.values() for check in checks):
            self.checks.add(check.name)
            if check.failure_info is not None:
                failure = check.failure_info.failure
                where = f"{check.name}: {failure.operation}: {failure.title}"
                self.faults.append(f"{where}\n{failure.message}\n{check.failure_info.code_sample}")


def explore(schema: schemathesis.BaseSchema) -> Findings:
    """Let schemathesis run all its phases over a schema that knows its application or its server."""
    schema.hook("filter_failure")(is_a_failure)
    findings = Findings()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished():
                findings.phases.add(event.phase.value)
                findings.take(event.recorder)
            case events.NonFatalError():
                findings.faults.append(f"{event.label}: {event.info.title}\n{event.value}")
            case events.FatalError():
                raise event.exception
            case events.EngineFinished():
                findings.faults.extend(failure.message for failure in event.failures)
    return findings


@schemathesis.hook("before_call")
def wait_for_nothing(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]
) -> None:
    """A claim of a task may wait for half a minute, and there is none to wait for: it is asked at once."""
    body = case.body
    if isinstance(body, dict) and body.get("waitSeconds") in range(1, 31):
        body["waitSeconds"] = 0


def is_a_failure(
    context: schemathesis.HookContext,
    failure: Failure,
    case: schemathesis.Case[Any],
    response: schemathesis.Response,
) -> bool:
    """Not what is well refused though no schema can tell: a cursor or a position that this service has not
    given out, a start without what its definition needs, a definition or a policy of the right shape that
    makes no sense, a result that is none of the step's kind, a moment that has passed.
    """
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    if case.operation.label in DEFINITIONS:
        return not _has_the_shape(case.body)
    own = BEYOND_SCHEMAS.get(case.operation.label, "")
    beyond = re.compile(f"{BEYOND_SCHEMAS['anywhere']}|{own}")
    return not all(beyond.fullmatch(fault["field"]) for fault in response.json()["error"]["details"])


def _has_the_shape(body: Any) -> bool:
    try:
        DefinitionDocument.model_validate(body)
    except ValidationError:
        return False
    return True


def configuration(*phases: str, examples: int, without_checks: tuple[str, ...] = ()) -> schemathesis.Config:
    """These phases and every check but those without; the same cases at each run.

    412 is a refusal like any other: ``If-Match`` names a version that no generated request can know.
    A definition has one schema and one reader on both its routes: every edge of it is tried on one of them.
    """
    refusals = ["400", "401", "403", "404", "405", "409", "412", "415"]
    return schemathesis.Config.from_dict(
        {
            "seed": 1,
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "deterministic": True, "database": "none"},
            "phases": {phase: {"enabled": phase in phases} for phase in PHASES},
            "operations": [{"include-name": DEFINITIONS[1], "phases": {"coverage": {"enabled": False}}}],
            "checks": {
                "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "412"]},
                "negative_data_rejection": {"expected-statuses": refusals},
                **{name: {"enabled": False} for name in without_checks},
            },
        }
    )
