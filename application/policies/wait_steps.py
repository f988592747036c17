"""Steps of kind ``wait``: a durable timer completes them.

``seconds`` counts from the dispatch. ``until`` names the input field that holds the time; a time that has
passed already ends the wait at once. A step that waits for an ``event`` is answered by that message itself.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from application.command import Command
from application.dispatcher import Dispatcher
from application.policies.giving_up import GivingUp
from application.policies.reaction import because_of, error_within, refusal_of, rejected
from application.ports import Timer, Timers
from application.workflow_commands import CompleteStep
from domain.event import Recorded
from domain.interest import Interest
from domain.lease import Lease
from domain.values import derived_id, in_utc
from domain.workflow import StepCancelled, StepDispatched, StepFailed

KIND = "wait"
TIMER_KIND = "wait-is-over"


class WaitSteps:
    """A follower's handler that keeps a timer for each waiting step, until the wait is over or has failed."""

    name = "wait-steps"
    wants = Interest(StepDispatched, where=lambda event: event.kind == KIND and not event.void) | Interest(
        StepCancelled | StepFailed, where=lambda event: event.kind == KIND
    )
    """Steps of this kind."""
    may_repeat_unnoticed = True

    def __init__(self, timers: Timers, dispatch: Dispatcher) -> None:
        self._timers = timers
        self._dispatch = dispatch
        self._giving_up = GivingUp(WaitSteps.name)

    async def start_over(self) -> None:
        """Do nothing: a timer of another log is refused by its workflow when it is due."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Set and cancel the batch's timers. Then fail the steps whose end cannot be determined.

        Raises:
            StoreUnavailable: some is not done; the batch must come again.
            LeaseLost: the rest is for another instance.
        """
        wanted: dict[str, Timer] = {}
        ended: set[str] = set()
        endless: list[Recorded] = []
        for recorded in events:
            match event := recorded.event:
                case StepDispatched() if "event" not in event.parameters:
                    due_at = _end_of(event)
                    if due_at is None:
                        endless.append(recorded)
                    else:
                        wanted[_timer_id(event)] = _timer(recorded, event, due_at)
                case StepCancelled() | StepFailed():
                    ended.add(_timer_id(event))
        running = [timer for timer_id, timer in wanted.items() if timer_id not in ended]
        if running or ended:
            await self._timers.change(set=running, cancel=sorted(ended), lease=lease)
        await self._giving_up.act_on_each(endless, self._fail, self._give_up, lease)

    async def _fail(self, recorded: Recorded) -> None:
        """Fail a step. One that has ended in another way meanwhile is left as it is."""
        assert isinstance(recorded.event, StepDispatched), f"{recorded.event!r} begins no wait"
        field = recorded.event.parameters.get("until")
        error = f"{field}: must be an ISO 8601 time with an offset"
        await refusal_of(self._dispatch, rejected(recorded, self.name, error), self.name)

    async def _give_up(self, recorded: Recorded) -> None:
        await self._dispatch(rejected(recorded, self.name, error_within(self.name), "give up"))


def wait_is_over(timer: Timer) -> Command:
    """Return the command that a due timer stands for."""
    return CompleteStep(
        meta=timer.meta,
        workflow_id=str(timer.payload["workflow_id"]),
        step=str(timer.payload["step_id"]),
        attempt=int(timer.payload["attempt"]),
        result={},
    )


def _end_of(event: StepDispatched) -> datetime | None:
    seconds = event.parameters.get("seconds")
    if seconds is not None:
        return event.dispatched_at + timedelta(seconds=float(seconds))
    moment = event.input.get(str(event.parameters.get("until")))
    try:
        parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else None
    except ValueError:
        return None
    return in_utc(parsed) if parsed is not None and parsed.tzinfo else None


def _timer(recorded: Recorded, event: StepDispatched, due_at: datetime) -> Timer:
    return Timer(
        id=_timer_id(event),
        due_at=due_at,
        kind=TIMER_KIND,
        payload={"workflow_id": event.workflow_id, "step_id": event.step_id, "attempt": event.attempt},
        meta=because_of(recorded, WaitSteps.name),
        version=recorded.version,
    )


def _timer_id(event: StepDispatched | StepCancelled | StepFailed) -> str:
    return derived_id(TIMER_KIND, event.step_id, str(event.attempt))
