"""Answers that were given in time and are still on their way to the step that waits for them.

People, workers and child workflows answer in streams of their own, and a policy passes that on. If that is
late because its process was away, a deadline must not discard what was given.
"""

from collections.abc import Callable, Mapping
from typing import Any

from application.event_store import EventStore
from application.pasts import Evolve
from domain import approval, task, workflow
from domain.approval import approval_id_of, approval_stream
from domain.task import task_id_of, task_stream
from domain.workflow import child_id_of, workflow_stream
from domain.workflow.step import APPROVAL, CHILD, TASK, Step

_Stream = Callable[[str, str], str]
_Id = Callable[[str, int], str]

_ASKED: Mapping[str, tuple[_Stream, _Id, Evolve, tuple[str, ...]]] = {
    APPROVAL: (approval_stream, approval_id_of, approval.evolve, ("pending",)),
    TASK: (task_stream, task_id_of, task.evolve, ("offered", "claimed")),
    CHILD: (workflow_stream, child_id_of, workflow.evolve, ("pending", "running", "paused", "compensating")),
}
"""For each kind of step: where its answer is given, and in which states it has not been given."""


async def is_given(store: EventStore, tenant: str, step: Step) -> bool:
    """Return whether what a step was dispatched to has ended.

    Raises:
        StoreUnavailable: the store is away.
    """
    asked = _ASKED.get(step.work.kind)
    if asked is None:
        return False
    stream_of, id_of, evolve, still_asked = asked
    past = await store.present(stream_of(tenant, id_of(step.step_id, step.attempt)), evolve)
    state: Any = past.state
    return state is not None and state.status not in still_asked
