"""Who started a workflow. That person has also asked for the approvals that the workflow asks for."""

from application.event_store import EventStore
from domain.values import is_person
from domain.workflow import WorkflowStarted, workflow_stream

_MOST_ABOVE = 100


async def starter_of(store: EventStore, tenant: str, workflow_id: str) -> str | None:
    """Return the person who started a workflow, or the one whose step it is; None if no person did.

    Raises:
        StoreUnavailable: the store is away.
    """
    for _ in range(_MOST_ABOVE):
        begun = await store.read_stream(workflow_stream(tenant, workflow_id), after=0, limit=1)
        if not begun.events:
            return None
        first = begun.events[0]
        if is_person(first.meta.actor):
            return first.meta.actor
        if not isinstance(first.event, WorkflowStarted):
            return None
        if first.event.started_by is not None or first.event.parent is None:
            return first.event.started_by
        workflow_id = first.event.parent.workflow_id
    return None
