"""A nominal time of cron becomes a command."""

from collections.abc import Sequence
from datetime import datetime

from application.dispatcher import Dispatcher
from application.job_commands import FireJob, MissFirings
from domain.event import Metadata
from domain.job import run_id
from domain.values import SYSTEM_TENANT, derived_id, timestamp

ACTOR = "system:scheduler"


class CronFirings:
    """Takes a job's nominal times; the same again, from here or elsewhere, changes nothing."""

    def __init__(self, dispatch: Dispatcher) -> None:
        self._dispatch = dispatch

    async def fire(self, job: str, nominal_at: datetime) -> None:
        """Let a firing have its run.

        Raises:
            StoreUnavailable: it is not known to have one; fire again.
        """
        firing = run_id(job, nominal_at)
        await self._dispatch(FireJob(meta=_meta(firing), job=job, nominal_at=nominal_at))

    async def miss(self, job: str, nominal_at: Sequence[datetime]) -> None:
        """Keep that these times passed unseen, the oldest first.

        Raises:
            StoreUnavailable: it is not known to be kept; say it again.
        """
        passed = derived_id("missed", job, timestamp(nominal_at[0]), timestamp(nominal_at[-1]))
        await self._dispatch(MissFirings(meta=_meta(passed), job=job, nominal_at=nominal_at))


def _meta(id: str) -> Metadata:
    return Metadata(tenant=SYSTEM_TENANT, actor=ACTOR, correlation_id=id, command_id=id)
