"""One example of every stored event of workflow definitions, with every field of theirs filled."""

from domain.definition import (
    Announcements,
    Concurrency,
    MapOver,
    Retry,
    StepDefinition,
    Trigger,
    Work,
    WorkflowDefinition,
)
from domain.event import Event
from domain.published_definition import DefinitionPublished, DefinitionRetired
from tests.builders import NOW, after

WORK = Work(
    kind="http",
    input={"id": "input.id"},
    parameters={"service": "ml_service", "method": "GET", "path": "/api/v1/x/{id}"},
    timeout_seconds=30.0,
    retry=Retry(
        attempts=3,
        delay_seconds=2.0,
        factor=1.5,
        most_seconds=60.0,
        jitter=0.25,
        on=("timed_out", "rejected"),
    ),
)

DEFINITION = WorkflowDefinition(
    name="deal-check",
    version=2,
    description="Prüft, what there is to check.",
    input_schema={"type": "object", "properties": {"id": {"type": "string"}}},
    needs_opportunity=True,
    deadline_seconds=3600.0,
    concurrency=Concurrency(policy="queue", key="input.id", debounce_seconds=5.0),
    triggers=(
        Trigger(
            message_type="contract.signed",
            filter="data.id",
            opportunity_id="data.deal",
            input={"id": "data.id"},
        ),
    ),
    announcements=Announcements(
        started="deal.check.started", completed="deal.check.done", failed="deal.check.bad"
    ),
    steps=(
        StepDefinition(
            step_type="each",
            kind="map",
            timeout_seconds=None,
            result_key="all",
            map=MapOver(over="input.ids", each=WORK, at_once=3, tolerate=1),
        ),
        StepDefinition(
            step_type="last",
            after=("each",),
            critical=True,
            when="results.all",
            kind="task",
            parameters={"queue": "reviews"},
            result_key="last",
            compensation=WORK,
        ),
    ),
)

DEFINITION_EVENTS: tuple[Event, ...] = (
    DefinitionPublished(name="deal-check", version=2, definition=DEFINITION, published_at=NOW),
    DefinitionRetired(name="deal-check", versions=(1, 3), newest=DEFINITION, retired_at=after(days=1)),
)
"""The events, for the samples."""
