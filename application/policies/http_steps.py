"""Turns dispatched ``http`` steps into calls to be made."""

from collections.abc import Callable, Sequence

from application.ports import StepCall, StepCalls
from domain.event import Recorded
from domain.interest import Interest
from domain.lease import Lease
from domain.values import derived_id
from domain.workflow import StepCancelled, StepDispatched
from domain.workflow.step import HTTP

ACTOR = "system:http-steps"


class HttpSteps:
    """A follower's handler. It stores each call durably, and deletes calls that nobody waits for any more.

    ``on_change`` is called at once with the ids of deleted calls, also if there are only new ones. If a step
    ends in any other way, its call stays on the list until its turn comes, and is not made then.
    """

    name = "http-steps"
    wants = Interest(StepDispatched, where=lambda event: event.kind == HTTP and not event.void) | Interest(
        StepCancelled, where=lambda event: event.kind == HTTP
    )
    """The events that create a call, or delete one."""
    may_repeat_unnoticed = False

    def __init__(
        self, calls: StepCalls, *, on_change: Callable[[Sequence[str]], None] = lambda ended: None
    ) -> None:
        self._calls = calls
        self._on_change = on_change

    async def start_over(self) -> None:
        """Do nothing: a call that was stored for another log is not made, because no step of this one waits
        for it."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Store the batch's calls. One that ends within the batch is never stored."""
        wanted: dict[str, StepCall] = {}
        ended: list[str] = []
        for recorded in events:
            match recorded.event:
                case StepDispatched() as event:
                    call = _call(recorded, event)
                    wanted[call.id] = call
                case StepCancelled() as event:
                    ended.append(call_id(event.step_id, event.attempt))
        wanted = {id: call for id, call in wanted.items() if id not in ended}
        if wanted or ended:
            await self._calls.change(add=list(wanted.values()), remove=ended, lease=lease)
            self._on_change(ended)


def call_id(step_id: str, attempt: int) -> str:
    """Return the id of the call for one attempt at a step."""
    return derived_id("http-call", step_id, str(attempt))


def _call(recorded: Recorded, event: StepDispatched) -> StepCall:
    id = call_id(event.step_id, event.attempt)
    return StepCall(
        id=id,
        service=str(event.parameters.get("service")),
        workflow_id=event.workflow_id,
        step_id=event.step_id,
        step_type=event.step_type,
        attempt=event.attempt,
        parameters=event.parameters,
        input=event.input,
        dispatched_at=event.dispatched_at,
        deadline_at=event.deadline_at,
        done_again=event.done_again,
        meta=recorded.leads_to(id, actor=ACTOR),
    )
