"""Turns nominal times of cron into commands."""

from collections.abc import Sequence
from datetime import datetime

from application.dispatcher import Dispatcher
from application.job_commands import FireJob, MissFirings
from domain.event import Metadata
from domain.job import run_id
from domain.job.firing import MOST_TOLD_ONE_BY_ONE
from domain.values import SYSTEM_TENANT, derived_id, timestamp

ACTOR = "system:scheduler"

_AT_ONCE = 50
"""How many missed firings one command notes. Each is an event, and a batch of Cosmos DB has a hundred
operations."""


class CronCommands:
    """Gives commands for a job's nominal times. Repeating one, here or in another instance, changes
    nothing."""

    def __init__(self, dispatch: Dispatcher) -> None:
        self._dispatch = dispatch

    async def fire(self, job: str, nominal_at: datetime) -> None:
        """Give the command of a firing.

        Raises:
            StoreUnavailable: it is not known to be stored; fire again.
        """
        firing = run_id(job, nominal_at)
        await self._dispatch(FireJob(meta=_meta(firing), job=job, nominal_at=nominal_at))

    async def miss(self, job: str, nominal_at: Sequence[datetime]) -> None:
        """Note that these times were missed, the oldest first: as many in one command as every store can
        take.

        Raises:
            StoreUnavailable: it is not known to be stored; call this again.
        """
        older, newer = nominal_at[:-MOST_TOLD_ONE_BY_ONE], nominal_at[-MOST_TOLD_ONE_BY_ONE:]
        if older:
            await self._dispatch(self._missing(job, older, as_one=True))
        for first in range(0, len(newer), _AT_ONCE):
            await self._dispatch(self._missing(job, newer[first : first + _AT_ONCE], as_one=False))

    def _missing(self, job: str, nominal_at: Sequence[datetime], *, as_one: bool) -> MissFirings:
        passed = derived_id("missed", job, timestamp(nominal_at[0]), timestamp(nominal_at[-1]))
        return MissFirings(meta=_meta(passed), job=job, nominal_at=nominal_at, as_one=as_one)


def _meta(id: str) -> Metadata:
    return Metadata(tenant=SYSTEM_TENANT, actor=ACTOR, correlation_id=id, command_id=id)
