"""When a thing has ended for good, and what its archive says about it."""

from collections.abc import Callable, Sequence
from typing import Any

from domain import approval, backfill, task, workflow
from domain.event import Recorded


def is_finished(stream: str, events: Sequence[Recorded]) -> bool:
    """Return whether nothing more is expected of a thing, given all its events.

    A failed workflow has ended too, although somebody might still retry it, and a step of it might still get
    its answer. That is no longer possible once it is archived.
    """
    rule = _RULES.get(stream.split("/", 2)[1])
    if rule is None or not events:
        return False
    evolve, ended = rule
    state = None
    for recorded in events:
        state = evolve(state, recorded.event)
    return ended(state)


_ENDED = ("completed", "failed", "cancelled", "compensated", "compensation_failed")

_RULES: dict[str, tuple[Callable[..., Any], Callable[[Any], bool]]] = {
    "workflow": (workflow.evolve, lambda state: state.status in _ENDED),
    "approval": (approval.evolve, lambda state: state.status != "pending"),
    "task": (task.evolve, lambda state: state.status in ("completed", "failed", "revoked")),
    "backfill": (backfill.evolve, lambda state: state.outcome is not None and not state.open),
}
