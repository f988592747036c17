"""A workflow is asked for, and begins."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from domain.definition import WorkflowDefinition
from domain.event import Event
from domain.values import StepRef
from domain.workflow.events import WorkflowQueued, WorkflowStarted
from domain.workflow.evolution import evolve
from domain.workflow.step import execution_id_of
from domain.workflow.turn import Turn


def queue(
    definition: WorkflowDefinition,
    *,
    workflow_id: str,
    opportunity_id: str | None,
    input: Mapping[str, Any] | None,
    now: datetime,
    concurrency_group: str,
) -> tuple[Event, ...]:
    """Let a workflow wait until its group lets it start."""
    return (
        WorkflowQueued(
            workflow_id=workflow_id,
            opportunity_id=opportunity_id,
            definition=definition.name,
            definition_version=definition.version,
            execution_id=execution_id_of(workflow_id, 1),
            queued_at=now,
            input=input,
            concurrency_group=concurrency_group,
        ),
    )


def start(
    definition: WorkflowDefinition,
    *,
    workflow_id: str,
    opportunity_id: str | None,
    concurrency_group: str | None = None,
    input: Mapping[str, Any] | None,
    now: datetime,
    parent: StepRef | None = None,
    depth: int = 0,
    breadth: int = 1,
    started_by: str | None = None,
    chain: tuple[str, ...] = (),
) -> tuple[Event, ...]:
    """Begin a workflow. The steps that wait for no other are dispatched together."""
    deadline = definition.deadline_seconds
    started = WorkflowStarted(
        workflow_id=workflow_id,
        opportunity_id=opportunity_id,
        concurrency_group=concurrency_group,
        definition=definition.name,
        definition_version=definition.version,
        execution_id=execution_id_of(workflow_id, 1),
        steps=definition.steps,
        started_at=now,
        input=input,
        deadline_seconds=deadline,
        deadline_at=None if deadline is None else now + timedelta(seconds=deadline),
        announcements=definition.announcements,
        parent=parent,
        depth=depth,
        breadth=breadth,
        started_by=started_by,
        chain=chain,
    )
    return (started, *Turn(evolve(None, started), now).go_on().events)
