"""A nominal time of cron becomes a command."""

from collections.abc import Mapping
from datetime import datetime

from application.commands import FireJob
from application.dispatcher import Dispatcher
from domain.event import Metadata
from domain.job import run_id
from domain.values import SYSTEM_TENANT
from interfaces.scheduling.cron import UnixCron

ACTOR = "system:scheduler"


class CronFirings:
    """Fires a job for a nominal time; the same firing again, from here or elsewhere, changes nothing."""

    def __init__(self, dispatch: Dispatcher, schedules: Mapping[str, UnixCron]) -> None:
        self._dispatch = dispatch
        self._schedules = schedules

    async def __call__(self, job: str, nominal_at: datetime) -> None:
        """Open the run.

        Raises:
            StoreUnavailable: it is not known to be open; fire again.
        """
        firing = run_id(job, nominal_at)
        await self._dispatch(
            FireJob(
                meta=Metadata(tenant=SYSTEM_TENANT, actor=ACTOR, correlation_id=firing, command_id=firing),
                job=job,
                nominal_at=nominal_at,
                schedule=self._schedules[job].expression,
            )
        )
