"""Keeps the fold of each job's events up to date, beside the log and out of everybody's way.

Every instance with the role ``scheduler`` does, whether or not it watches the clock: all are scraped, and who
watches it changes. Nothing is read at a scrape. One that waited for the event store would fail with it, and
just then somebody looks.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

import anyio
import msgspec

from application.event_store import EventStore
from application.job_health import JobHealth, evolve
from domain.event import Recorded
from domain.interest import Interest
from domain.job import JobEvent, job_stream
from interfaces.scheduling.loop_progress import LoopProgress
from projections.follower_status import FollowerStatus
from projections.patience import Patience, Stopped

_REST_SECONDS = 1.0
"""Between two looks: where instances share a log, every append of another one wakes us."""

_LOOK_SECONDS = 10.0
"""A word of another instance's append may be lost."""

WatchedUntil = Callable[[str], Awaitable[datetime | None]]
"""Up to when a job's clock has been watched by its present schedule."""


class JobStanding(msgspec.Struct, frozen=True):
    """How a job fares, and up to when its clock has been watched by its present schedule, if it has been."""

    health: JobHealth
    watched_until: datetime | None


class JobHealthLoop:
    """Reads the jobs' streams whenever something may have been appended to one."""

    name = "job-health"

    def __init__(
        self, store: EventStore, jobs: Sequence[str], watched_until: WatchedUntil, *, batch_size: int
    ) -> None:
        self._store = store
        self._streams = {job_stream(job): job for job in jobs}
        self._watched_until = watched_until
        self._batch_size = batch_size
        self._folds = {stream: _Fold() for stream in self._streams}
        self._standings: dict[str, JobStanding] = {}
        self._patience = Patience("job health")
        self._progress = LoopProgress(self.name)
        self._is_over = False

    @property
    def standings(self) -> Mapping[str, JobStanding]:
        """Each job that has been read to its end, so that no intermediate number is shown."""
        return self._standings

    @property
    def status(self) -> FollowerStatus:
        """The loop's state, in the form of a follower's."""
        return self._progress.status(is_over=self._is_over)

    async def run(self) -> None:
        """Read on until cancelled, whatever happens to the store meanwhile."""
        self._progress.note_begun()
        alarm = self._store.subscribe(Interest(JobEvent))
        try:
            with suppress(Stopped):
                while True:
                    await self._patience.until_done(self.look, on_failure=self._progress.note_failure)
                    self._progress.note_success()
                    await anyio.sleep(_REST_SECONDS)
                    await alarm.wait(_LOOK_SECONDS)
        finally:
            alarm.close()
            self._is_over = True

    async def look(self) -> None:
        """Read what has been appended to the streams.

        Raises:
            StoreUnavailable: the event store is unavailable; what is known stays as it is.
        """
        for stream, job in self._streams.items():
            fold = self._folds[stream]
            while True:
                part = await self._store.read_stream(stream, after=fold.known_after, limit=self._batch_size)
                new = fold.take(part.events)
                if new is None:
                    self._folds[stream] = fold = _Fold()
                    continue
                self._progress.done += new
                if not part.is_cut:
                    break
            self._standings[job] = JobStanding(fold.health, await self._watched_until(job))


class _Fold:
    """The fold of one stream up to an event."""

    def __init__(self) -> None:
        self.health = JobHealth()
        self._newest: Recorded | None = None

    @property
    def known_after(self) -> int:
        """The version after which to read on: the newest known event is read again."""
        return self._newest.version - 1 if self._newest else 0

    def take(self, events: Sequence[Recorded]) -> int | None:
        """Add events and return how many were new, or None if the log no longer has the newest known event,
        because it was restored."""
        if self._newest is not None:
            if not events or events[0] != self._newest:
                return None
            events = events[1:]
        for recorded in events:
            self.health = evolve(self.health, recorded)
            self._newest = recorded
        return len(events)
