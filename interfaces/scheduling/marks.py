"""How far each job's clock has been watched, so that what passed while nobody watched is not forgotten."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from domain.lease import Lease, Unrivalled
from domain.values import timestamp
from interfaces.scheduling.cron import UnixCron
from projections.ports import Checkpoints

_FOLLOWER = "scheduler"
_OFF = "off"
_WATCHED = "(watched)"
"""Stands in place of a job, whose name has no brackets."""


class Marks:
    """Stores one mark per job, with the schedule by which it was watched.

    Another schedule has nothing to make up for, and neither has a job that was disabled, or that the settings
    did not name: which jobs were watched last is stored beside the marks.
    """

    def __init__(
        self, positions: Checkpoints, schedules: Mapping[str, UnixCron], switched_off: Collection[str] = ()
    ) -> None:
        self._positions = positions
        self._schedules = schedules
        self._switched_off = switched_off

    async def since(self, now: datetime, lease: Lease) -> dict[str, datetime]:
        """Return from when on each job has to be checked; for a new job, from now.

        Raises:
            LeaseLost: another instance watches the clock.
        """
        for job in self._switched_off:
            await self._positions.save(_FOLLOWER, job, f"{timestamp(now)} {_OFF}", lease)
        saved = await self._positions.load(_FOLLOWER, _WATCHED, lease)
        watched = self._schedules if saved is None else json.loads(saved)
        since = {
            job: await self._since(job, now, lease, was_watched=job in watched) for job in self._schedules
        }
        await self._note_watched(list(self._schedules), lease)
        return since

    async def move(self, job: str, nominal_at: datetime, lease: Lease) -> None:
        """Note that everything up to a nominal time has been fired.

        Raises:
            LeaseLost: another instance watches the clock.
        """
        await self._positions.save(_FOLLOWER, job, f"{timestamp(nominal_at)} {self._rule(job)}", lease)

    async def peek(self, job: str) -> datetime | None:
        """Return up to when a job's clock has been watched by its present schedule, if that is known."""
        saved = await self._positions.load(_FOLLOWER, job, Unrivalled(_FOLLOWER))
        moment, _, rule = (saved or "").partition(" ")
        return datetime.fromisoformat(moment) if rule == self._rule(job) else None

    async def forget(self, lease: Lease) -> None:
        """Make up for nothing that has passed.

        Raises:
            LeaseLost: another instance watches the clock.
        """
        await self._note_watched([], lease)
        await self._positions.forget(_FOLLOWER, [*self._schedules, *self._switched_off], lease)

    async def _note_watched(self, jobs: Sequence[str], lease: Lease) -> None:
        await self._positions.save(_FOLLOWER, _WATCHED, json.dumps(jobs), lease)

    async def _since(self, job: str, now: datetime, lease: Lease, *, was_watched: bool) -> datetime:
        saved = await self._positions.load(_FOLLOWER, job, lease)
        moment, _, rule = (saved or "").partition(" ")
        if not was_watched or rule != self._rule(job):
            await self.move(job, now, lease)
            return now
        return datetime.fromisoformat(moment)

    def _rule(self, job: str) -> str:
        schedule = self._schedules[job]
        return f"{schedule.expression} {schedule.time_zone.key}"
