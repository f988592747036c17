"""Backfills: load, decide, append."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from application.backfill_commands import (
    BackfillCommand,
    BeginBackfill,
    CancelBackfill,
    CompleteWindow,
    FailWindow,
    LeaveBackfills,
    RequestBackfill,
    TryWindowAgain,
)
from application.command import Command
from application.deciders import Committed
from application.dispatcher import Handler
from application.event_store import EventStore
from application.held_back import held_back
from application.inputs import first_faults
from application.jobs import Jobs
from application.ports import Clock
from domain import backfill
from domain.backfill import Backfill, BackfillAdmitted, Form, Plan, admissions_stream, backfill_stream
from domain.backfill.plan import require_sound
from domain.errors import BadInput
from domain.event import Event, Metadata
from domain.faults import Fault

_FORMS: tuple[Form, ...] = ("dates", "moments")


class BackfillHandlers:
    """The handlers of the commands about backfills."""

    def __init__(self, store: EventStore, clock: Clock, jobs: Jobs) -> None:
        self._store = store
        self._clock = clock
        self._jobs = jobs

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Return the handler of each command."""
        return {
            RequestBackfill: self.request_backfill,
            BeginBackfill: self.begin_backfill,
            TryWindowAgain: self.try_window_again,
            CompleteWindow: self.complete_window,
            FailWindow: self.fail_window,
            CancelBackfill: self.cancel_backfill,
            LeaveBackfills: self.leave_backfills,
        }

    async def planned(self, command: RequestBackfill) -> Plan:
        """Return what would be done. The ends of the windows have the form that the job's schema accepts.

        Raises:
            JobNotFound: there is no such job.
            BadInput: with every fault, also of what the windows would tell the worker.
        """
        definition = self._jobs.find(command.job)
        given = Plan(
            backfill_id=command.backfill_id,
            job=definition.name,
            starts_at=command.starts_at,
            ends_at=command.ends_at,
            by=command.by,
            form=command.form,
            window_days=command.window_days,
            metadata=command.metadata,
            max_active=command.max_active,
        )
        require_sound(given)
        dates_would_do = backfill.is_midnight(given.starts_at) and backfill.is_midnight(given.ends_at)
        others = [form for form in _FORMS if form != given.form and (form == "moments" or dates_would_do)]
        plans = [given, *(msgspec.structs.replace(given, form=form) for form in others)]
        told: list[Fault] = []
        for plan in plans:
            windows = (window.metadata for window in plan.windows())
            faults = await first_faults(command.meta.tenant, definition.metadata_schema, windows, "metadata")
            if not faults:
                return plan
            told = told or faults
        raise BadInput("the metadata of the windows is not valid for the job", told)

    async def request_backfill(self, command: RequestBackfill) -> Committed:
        """Take a place among the job's backfills, and begin. A repeated command belongs to the backfill that
        took the place, whatever id it names.

        A crash in between leaves a backfill with a place, and the policy begins it by the same command, so
        that it is begun once. A backfill with a place is begun as it was planned when it took the place.

        Raises:
            JobNotFound, BadInput: as :meth:`planned` says.
            TooManyBackfills: there is no place.
        """
        planned, now = await held_back(self.planned(command)), self._clock.now()
        admitted = await self._store.execute(
            admissions_stream(command.job),
            evolve=backfill.evolve_admissions,
            decide=lambda state: backfill.admit(state, planned(), now=now),
            meta=command.meta,
            now=now,
        )
        plan = await self._plan_in(admitted, command.meta.command_id) or planned()
        return await self.begin_backfill(BeginBackfill(meta=command.meta, plan=plan))

    async def _plan_in(self, admitted: Committed, command_id: str) -> Plan | None:
        """Return the plan with which a command was admitted, this time or an earlier one."""
        if command_id not in admitted.past.commands:
            return None
        events = admitted.new
        if not events:
            before = admitted.version - 1
            events = (await self._store.read_stream(admitted.stream, after=before, limit=1)).events
        plans = (each.event.plan for each in events if isinstance(each.event, BackfillAdmitted))
        return next(plans, None)

    async def begin_backfill(self, command: BeginBackfill) -> Committed:
        """Begin a backfill that has a place."""
        plan = command.plan
        return await self._do(
            plan.backfill_id, command.meta, lambda state, now: backfill.request(state, plan, now=now)
        )

    async def try_window_again(self, command: TryWindowAgain) -> Committed:
        """Note another run of a window."""
        return await self._in(
            command,
            lambda state, now: backfill.try_window_again(
                state, command.run_id, in_place_of=command.in_place_of, attempt=command.attempt, now=now
            ),
        )

    async def complete_window(self, command: CompleteWindow) -> Committed:
        """Note that a window is completed, and start the next."""
        return await self._in(
            command,
            lambda state, now: backfill.complete_window(
                state, command.run_id, completed_at=command.completed_at, now=now
            ),
        )

    async def fail_window(self, command: FailWindow) -> Committed:
        """Note that a window has failed, and start the next."""
        return await self._in(
            command,
            lambda state, now: backfill.fail_window(
                state,
                command.run_id,
                command.reason,
                error=command.error,
                failed_at=command.failed_at or now,
                now=now,
            ),
        )

    async def cancel_backfill(self, command: CancelBackfill) -> Committed:
        """Start no further window."""
        return await self._in(
            command,
            lambda state, now: backfill.cancel(
                state,
                job=command.job,
                backfill_id=command.backfill_id,
                by=command.by,
                reason=command.reason,
                now=now,
            ),
        )

    async def leave_backfills(self, command: LeaveBackfills) -> Committed:
        """Free a place."""
        now = self._clock.now()
        return await self._store.execute(
            admissions_stream(command.job),
            evolve=backfill.evolve_admissions,
            decide=lambda state: backfill.leave(state, command.job, command.backfill_id, now=now),
            meta=command.meta,
            now=now,
        )

    async def _in(
        self, command: BackfillCommand, decide: Callable[[Backfill | None, datetime], Sequence[Event]]
    ) -> Committed:
        return await self._do(
            command.backfill_id,
            command.meta,
            decide,
            expected_version=command.expected_version,
            keeps_correlation=command.names_no_correlation,
        )

    async def _do(
        self,
        backfill_id: str,
        meta: Metadata,
        decide: Callable[[Backfill | None, datetime], Sequence[Event]],
        *,
        expected_version: int | None = None,
        keeps_correlation: bool = False,
    ) -> Committed:
        now = self._clock.now()
        return await self._store.execute(
            backfill_stream(backfill_id),
            evolve=backfill.evolve,
            decide=lambda state: decide(state, now),
            meta=meta,
            now=now,
            expected_version=expected_version,
            keeps_correlation=keeps_correlation,
        )
