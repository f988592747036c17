"""WorkflowDefinition: a named, versioned, immutable plan of steps."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from zlib import crc32

import msgspec

DEFAULT_STEP_TIMEOUT_SECONDS = 15 * 60.0

MAP = "map"
"""The one kind that the aggregate itself carries out: a step for each element of a list."""

FailureReason = Literal["reported", "timed_out", "unavailable", "rejected"]
"""Whoever did the work reported that it failed; nobody answered in time; the service could not be reached, or
had no time; the request or the answer was invalid, and would be so another time."""

ConcurrencyPolicy = Literal["allow", "skip", "replace", "queue"]
"""What becomes of a start while another run of the same key is under way."""


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a definition, and of the events that pin a workflow to it.

    Values that are the default are not stored. So a default is part of the format, and never changes.
    """


class Retry(Part, frozen=True, kw_only=True, omit_defaults=True):
    """How often a step is tried, and when again.

    Before try ``n + 1`` there is a pause of ``delay_seconds * factor ** (n - 1)``, at most ``most_seconds``,
    less a part of up to the share ``jitter``.
    """

    attempts: int = 1
    delay_seconds: float = 1.0
    factor: float = 2.0
    most_seconds: float = 300.0
    jitter: float = 0.1
    on: tuple[FailureReason, ...] = ("reported", "timed_out", "unavailable")

    def pause_before(self, tries: int, step_id: str) -> float:
        """Return the seconds before a try. The jitter depends on the step's id, so a replay gets the same."""
        growth = self.factor ** min(tries - 2, 64)
        pause = min(self.delay_seconds * growth, self.most_seconds)
        share = crc32(f"{step_id} {tries}".encode()) / 2**32
        return pause * (1 - self.jitter * share)


_ENDED_BY_MESSAGES = ("event", "wait", "http")


class Work(Part, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be done, and by what kind of step.

    ``input`` maps names to JMESPath expressions over the workflow (see :mod:`domain.expressions`).
    ``parameters`` belong to the kind and are the same for every workflow. Without ``timeout_seconds`` a step
    waits as long as it takes.
    """

    kind: str = "event"
    input: Mapping[str, str] = {}
    parameters: Mapping[str, Any] = {}
    timeout_seconds: float | None = DEFAULT_STEP_TIMEOUT_SECONDS
    retry: Retry = Retry()

    @property
    def replies(self) -> Sequence[Mapping[str, Any]]:
        """The messages that may end it, and what each means."""
        if self.kind == "wait":
            event = self.parameters.get("event")
            return [] if event is None else [{"type": event}]
        return self.parameters.get("replies", ()) if self.kind in ("event", "http") else ()

    @property
    def takes_platform_answers(self) -> bool:
        """Whether the neighbours' answers of the wire contract end it, if it has the name that they use. They
        do not end what people or workers decide, a call that is answered itself, or what names its own
        replies."""
        waits = self.kind == "event" or (self.kind == "http" and self.parameters.get("accepted", False))
        return waits and not self.replies

    @property
    def correlation(self) -> Mapping[str, str]:
        """What a reply must have in common with the input, besides the workflow."""
        return self.parameters.get("correlation", {}) if self.kind in _ENDED_BY_MESSAGES else {}


class MapOver(Part, frozen=True, kw_only=True, omit_defaults=True):
    """What a ``map`` step does for each element of the list that ``over`` finds, ``at_once`` at a time.

    It fails once more than ``tolerate`` of its items have failed.
    """

    over: str
    each: Work
    at_once: int = 10
    tolerate: int = 0


class StepDefinition(Work, frozen=True, kw_only=True, omit_defaults=True):
    """One step. It is due once all of ``after`` have ended, in whatever way.

    ``when`` is an expression: if it finds nothing, or something false, the step is skipped. If a ``critical``
    step fails, the workflow fails; if another fails, its result is left out. ``result_key`` is where the
    result goes in the workflow's results. ``compensation`` undoes what the step has done.
    """

    step_type: str
    after: tuple[str, ...] = ()
    critical: bool = False
    when: str | None = None
    result_key: str
    map: MapOver | None = None
    compensation: Work | None = None


class Concurrency(Part, frozen=True, kw_only=True, omit_defaults=True):
    """How runs with the same ``key`` (an expression over ``input`` and ``opportunityId``) get along.

    A start that a message asks for waits until no other has come for ``debounce_seconds``.
    """

    policy: ConcurrencyPolicy = "allow"
    key: str = "opportunityId"
    debounce_seconds: float = 0.0


class Trigger(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A type of message that starts the workflow if ``filter`` holds. It also gives the ``input``."""

    message_type: str
    filter: str | None = None
    opportunity_id: str = "data.opportunityId"
    input: Mapping[str, str] = {}


class Announcements(Part, frozen=True, kw_only=True, omit_defaults=True):
    """The types of the messages that report on a workflow. Without a type nothing is sent."""

    started: str | None = None
    completed: str | None = None
    failed: str | None = None


class WorkflowDefinition(Part, frozen=True, kw_only=True, omit_defaults=True):
    """The plan that a workflow is pinned to when it starts."""

    name: str
    version: int
    steps: tuple[StepDefinition, ...]
    description: str = ""
    input_schema: Mapping[str, Any] | None = None
    needs_opportunity: bool = False
    deadline_seconds: float | None = None
    concurrency: Concurrency = Concurrency()
    triggers: tuple[Trigger, ...] = ()
    announcements: Announcements = Announcements()

    @property
    def message_types(self) -> frozenset[str]:
        """The types of messages that start it, or that answer one of its requests."""
        work = [part for step in self.steps for part in (step, step.map and step.map.each, step.compensation)]
        replies = [reply for part in work if part for reply in part.replies]
        return frozenset(
            (*(trigger.message_type for trigger in self.triggers), *(reply["type"] for reply in replies))
        )

    def with_timeouts(
        self, default: float, by_step: Mapping[str, float] | None = None
    ) -> "WorkflowDefinition":
        """Return the same plan, with the time that each step waits for its answer according to the
        settings."""
        chosen = by_step or {}
        steps = tuple(
            msgspec.structs.replace(step, timeout_seconds=chosen.get(step.step_type, default))
            for step in self.steps
        )
        return msgspec.structs.replace(self, steps=steps)


def depending_on(steps: Sequence[StepDefinition], step_types: Sequence[str]) -> frozenset[str]:
    """Return these steps, and all that come after them."""
    found = set(step_types)
    while more := {step.step_type for step in steps if found.intersection(step.after)} - found:
        found |= more
    return frozenset(found)


def _requested(step_type: str, request: str, result_key: str, *, critical: bool = False) -> StepDefinition:
    return StepDefinition(
        step_type=step_type, parameters={"request": request}, result_key=result_key, critical=critical
    )


OPPORTUNITY_ANALYSIS = WorkflowDefinition(
    name="opportunity-analysis",
    version=1,
    description="What risk, scoring, forecast and recommendations say of an opportunity that has changed.",
    needs_opportunity=True,
    concurrency=Concurrency(policy="queue"),
    steps=(
        _requested("risk_analysis", "workflow.risk.analysis.requested", "risk", critical=True),
        _requested("risk_scoring", "workflow.risk.scoring.requested", "scoring"),
        _requested("forecast", "workflow.forecast.requested", "forecast", critical=True),
        _requested("recommendation", "workflow.recommendation.requested", "recommendations"),
    ),
    announcements=Announcements(
        started="workflow.opportunity.analysis.started",
        completed="workflow.opportunity.analysis.completed",
        failed="workflow.opportunity.analysis.failed",
    ),
)
"""Four steps in parallel, two of them critical (wire contract, section 1)."""
