"""Holds back deadlines of steps and workflows while answers to them are still on their way.

If the process or the broker was away, or a policy is behind, the work may have been done in time and only not
been received. A deadline that is handled late must not discard what was given; nor may it be held back for
ever.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from application.event_store import EventStore
from application.given_answers import is_given
from application.policies.workflow_timers import STEP_DEADLINE, WORKFLOW_DEADLINE
from application.ports import Clock, Timer
from domain import workflow
from domain.workflow import CHILD, Workflow, child_id_of, workflow_stream
from domain.workflow.state import UNDER_WAY
from domain.workflow.step import Step

LONGEST_HOLD = timedelta(days=1)
"""So long after it was first handled, a deadline passes whatever may be on its way."""

LATE = timedelta(seconds=3)
"""Timers are handled each second. One that is handled so much later shows that the process was away, and so
may the policies have been."""

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=1)

_SINCE, _WAS_CLEAR = "held_since", "was_clear"

log = structlog.get_logger(__name__)


class HeldDeadlines:
    """Decides which due deadlines must come again instead of passing.

    A deadline passes once nothing is on its way. If something was, or if it is handled late, two checks in a
    row have to find nothing: what is no longer in the queue may be being processed.
    """

    def __init__(self, store: EventStore, clock: Clock, is_taken_in: Callable[[], Awaitable[bool]]) -> None:
        self._store = store
        self._clock = clock
        self._is_taken_in = is_taken_in

    async def held(self, timer: Timer) -> Timer | None:
        """Return the timer that replaces one that must not pass yet.

        Raises:
            StoreUnavailable: the store is away.
        """
        if timer.kind not in (STEP_DEADLINE, WORKFLOW_DEADLINE):
            return None
        state: Workflow | None = (
            await self._store.present(
                workflow_stream(timer.meta.tenant, str(timer.payload["workflow_id"])), workflow.evolve
            )
        ).state
        awaited = () if state is None else _awaited(state, timer)
        if awaited is None or state is None:
            return None
        now = self._clock.now()
        since = datetime.fromisoformat(str(timer.payload[_SINCE])) if _SINCE in timer.payload else None
        if since is not None and now - since >= LONGEST_HOLD:
            log.warning("deadline_held_no_longer", timer=timer.id, kind=timer.kind, since=since)
            return None
        is_clear = not await self._is_on_its_way(timer.meta.tenant, awaited)
        was_clear = now - timer.due_at <= LATE if since is None else bool(timer.payload[_WAS_CLEAR])
        if is_clear and was_clear:
            return None
        since = since or now
        return msgspec.structs.replace(
            timer,
            due_at=now + min(max(FIRST_PAUSE, (now - since) / 2), LONGEST_PAUSE),
            payload={**timer.payload, _SINCE: since.isoformat(), _WAS_CLEAR: int(is_clear)},
        )

    async def _is_on_its_way(self, tenant: str, awaited: Sequence[Step]) -> bool:
        """Return whether a step's answer has been given, or may wait in the queue."""
        may_be_told = False
        async for step in self._open(tenant, awaited):
            if await is_given(self._store, tenant, step):
                return True
            may_be_told = may_be_told or bool(step.work.replies)
        return may_be_told and not await self._is_taken_in()

    async def _open(self, tenant: str, awaited: Sequence[Step]) -> AsyncIterator[Step]:
        """Yield the steps, and those of the workflows that they wait for, because their answers take the same
        way."""
        for step in awaited:
            yield step
            if step.work.kind != CHILD:
                continue
            stream = workflow_stream(tenant, child_id_of(step.step_id, step.attempt))
            child: Workflow | None = (await self._store.present(stream, workflow.evolve)).state
            if child is not None and child.status in UNDER_WAY:
                async for each in self._open(tenant, _running(child)):
                    yield each


def _awaited(state: Workflow, timer: Timer) -> Sequence[Step] | None:
    """Return the steps whose answers hold a deadline back, or None if it is no deadline any more."""
    if timer.kind == WORKFLOW_DEADLINE:
        is_due = state.status in UNDER_WAY and state.execution_id == timer.payload["execution_id"]
        return _running(state) if is_due else None
    step = state.step(str(timer.payload["step_type"]))
    if step is None or step.status != "running" or step.attempt != timer.payload["attempt"]:
        return None
    return [step, *(each for each in _running(state) if each.item_of == step.step_type)]


def _running(state: Workflow) -> Sequence[Step]:
    return [step for step in state.all_steps() if step.status == "running"]
