"""Dispatched ``http`` steps become calls to be made."""

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
    """A follower's handler: notes each call durably, and strikes out those that nobody waits for any more.

    Who makes the calls is told at once by ``on_change``: of new ones, and of the ids of those struck out. A
    step that ends in any other way keeps its call on the list until it is its turn, and then it is not made.
    """

    name = "http-steps"
    wants = Interest(StepDispatched, where=lambda event: event.kind == HTTP and not event.void) | Interest(
        StepCancelled, where=lambda event: event.kind == HTTP
    )
    """The events by which a call is begotten, or struck out."""
    may_repeat_unnoticed = False

    def __init__(
        self, calls: StepCalls, *, on_change: Callable[[Sequence[str]], None] = lambda ended: None
    ) -> None:
        self._calls = calls
        self._on_change = on_change

    async def start_over(self) -> None:
        """A call that was noted for another log is not made: no step of this one waits for it."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Note the batch's calls; one that ends within the batch is never noted."""
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
    """The id of the call that one attempt at a step stands for."""
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
