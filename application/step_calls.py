"""One call of an ``http`` step, from the list to the command that reports its outcome."""

import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from application.circuit_breaker import Circuits
from application.command import Command
from application.event_store import EventStore
from application.http_answers import Failed, StillAtIt, Succeeded, Verdict, is_there, verdict_on
from application.http_requests import BadRequest, request_of
from application.ports import Clock, NoAnswer, StepCall, StepCaller
from application.workflow_commands import CompleteStep, FailStep
from domain import workflow
from domain.values import timestamp
from domain.workflow import Workflow, workflow_stream

Observe = Callable[[str, str, float], None]
"""Called for each call with the service, the outcome, and the seconds that it took."""

log = structlog.get_logger(__name__)


class StepCallMaker:
    """Makes calls, each only while its step waits for the answer.

    If the process dies before the command is stored, it makes the call again when it starts, with the same
    idempotency key. Once the command is stored, the call is not made again.
    """

    def __init__(
        self,
        caller: StepCaller,
        store: EventStore,
        clock: Clock,
        circuits: Circuits,
        *,
        timeout_seconds: float,
        observe: Observe = lambda service, outcome, seconds: None,
    ) -> None:
        self._caller = caller
        self._store = store
        self._clock = clock
        self._circuits = circuits
        self._timeout_seconds = timeout_seconds
        self._observe = observe

    async def is_waited_for(self, call: StepCall) -> bool:
        """Return whether the step still waits for the answer to this attempt, and has time left.

        Raises:
            StoreUnavailable: it is not known.
        """
        if call.deadline_at is not None and call.deadline_at <= self._clock.now():
            return False
        stream = workflow_stream(call.meta.tenant, call.workflow_id)
        state: Workflow | None = (await self._store.present(stream, workflow.evolve)).state
        step = None if state is None else state.step(call.step_type)
        return step is not None and step.status == "running" and step.attempt == call.attempt

    async def make(self, call: StepCall) -> Command | None:
        """Make a call. Return the command to give, or None if the step continues to wait.

        If the step's deadline cuts the call short, the timers report that.
        """
        breaker = self._circuits.to(call.service, call.meta.tenant)
        if breaker is None:
            return _command(call, Failed("rejected", f"steps may not call {call.service}: no such service"))
        try:
            request = request_of(call)
        except BadRequest as error:
            return self._told(call, Failed("rejected", str(error)), "rejected", 0.0)
        admission = breaker.admit()
        if admission is None:
            until = timestamp(self._clock.now() + timedelta(seconds=breaker.seconds_left))
            why = f"{call.service} is not called, since it did not answer: circuit open until {until}"
            return self._told(call, Failed("unavailable", why), "circuit_open", 0.0)
        seconds = self._seconds_for(call)
        began = time.monotonic()
        try:
            answer = await self._caller.call(request, seconds)
            took = time.monotonic() - began
            if isinstance(answer, NoAnswer) and answer.timed_out and seconds < self._timeout_seconds:
                self._observe(call.service, "deadline", took)
                return None
            admission.end(answered=is_there(answer))
        finally:
            admission.end()
        may_accept = call.parameters.get("accepted") is True
        verdict = verdict_on(answer, call.service, may_accept=may_accept)
        return self._told(call, verdict, _outcome_of(verdict), took)

    def _seconds_for(self, call: StepCall) -> float:
        """Return how long the call may take: less than the setting if the step has less time left."""
        if call.deadline_at is None:
            return self._timeout_seconds
        left = (call.deadline_at - self._clock.now()).total_seconds()
        return min(max(left, 0.001), self._timeout_seconds)

    def _told(self, call: StepCall, verdict: Verdict, outcome: str, seconds: float) -> Command | None:
        self._observe(call.service, outcome, seconds)
        if isinstance(verdict, Failed):
            log.warning(
                "http_step_failed",
                service=call.service,
                outcome=outcome,
                tenant=call.meta.tenant,
                workflow=call.workflow_id,
                step=call.step_type,
                attempt=call.attempt,
                seconds=round(seconds, 3),
            )
        return _command(call, verdict)


def failed(call: StepCall, error: str) -> Command:
    """Return the command for a call whose answer cannot be used."""
    command = _command(call, Failed("rejected", error))
    assert command is not None
    return command


def _outcome_of(verdict: Verdict) -> str:
    match verdict:
        case Succeeded():
            return "completed"
        case StillAtIt():
            return "accepted"
        case Failed():
            return verdict.reason


def _command(call: StepCall, verdict: Verdict) -> Command | None:
    match verdict:
        case StillAtIt():
            return None
        case Succeeded():
            return CompleteStep(
                meta=call.meta,
                workflow_id=call.workflow_id,
                step=call.step_type,
                result=verdict.result,
                attempt=call.attempt,
            )
        case Failed():
            return FailStep(
                meta=call.meta,
                workflow_id=call.workflow_id,
                step=call.step_type,
                error=verdict.error,
                reason=verdict.reason,
                attempt=call.attempt,
            )
