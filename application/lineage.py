"""Where a workflow comes from: the workflows whose steps wait for it, or the step that did not wait."""

from collections.abc import Sequence

from application.chains import present_workflow
from application.event_store import EventStore
from domain.workflow import Workflow, workflow_stream
from domain.workflow.rights import Above

CHILD_POLICY = "child-workflows"
"""The policy that starts a workflow for a step."""


async def workflows_above(store: EventStore, tenant: str, state: Workflow) -> Sequence[Above]:
    """Return the workflows whose steps wait for a workflow, the nearest first. An archived one waits for
    nobody.

    Raises:
        StoreUnavailable: the store is away.
    """
    found: list[Above] = []
    parent = state.parent
    while parent is not None:
        above = await present_workflow(store, tenant, parent.workflow_id)
        step = above.step(parent.step_id) if above is not None else None
        if above is None or step is None:
            break
        found.append(Above(above, step))
        parent = above.parent
    return found


async def is_let_go(store: EventStore, tenant: str, state: Workflow) -> bool:
    """Return whether a step began a workflow that no other waits for.

    Raises:
        StoreUnavailable: the store is away.
    """
    begun = await store.read_stream(workflow_stream(tenant, state.workflow_id), after=0, limit=1)
    return any(each.meta.actor == f"system:{CHILD_POLICY}" for each in begun.events)
