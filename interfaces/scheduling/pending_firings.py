"""Sees each firing through, from its nominal time until it is stored.

A firing must not be missed because the store is away, so it is tried until it succeeds. Firings of one job go
one after the other. Their order in the log is then that of their nominal times, and during an outage of an
hour one firing of a job retries, and not sixty.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec
import structlog
from tenacity import AsyncRetrying, RetryCallState, RetryError
from tenacity.wait import wait_base, wait_random_exponential

Fire = Callable[[str, datetime], Awaitable[object]]
"""Takes a job and the nominal time (UTC) of its firing. It is called at least once for each, and must be safe
to repeat."""

BACKOFF = wait_random_exponential(multiplier=0.5, min=0.1, max=30)
"""Full jitter, so that instances that lost the same store do not come back to it at the same time."""

_CANCELLED_WITHIN_SECONDS = 1.0


class FiringFailure(msgspec.Struct, frozen=True):
    """The latest failed try of a firing that is still pending, or was given up at the stop."""

    job: str
    nominal_time: datetime
    attempts: int
    error: str


class PendingFirings:
    """The firings that are not stored yet."""

    def __init__(self, fire: Fire, backoff: wait_base = BACKOFF) -> None:
        self._fire = fire
        self._backoff = backoff
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._stopping = asyncio.Event()
        self._failures: dict[str, FiringFailure] = {}
        self._given_up: set[str] = set()
        """The jobs of which a firing was given up at the stop. Storing a later firing would say that those
        before it are stored too, so it is given up as well, and the next instance that watches the clock
        makes up for both."""
        self._log = structlog.get_logger(__name__)

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def last_error(self) -> FiringFailure | None:
        """The newest failure that no later success of the same job has superseded."""
        return next(reversed(self._failures.values()), None)

    def begin(self, job: str, nominal_time: datetime) -> None:
        """Begin a firing. Call this on the event loop; it returns at once."""
        task = asyncio.get_running_loop().create_task(
            self._see_through(job, nominal_time), name=f"firing {job} {nominal_time.isoformat()}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, timeout_seconds: float) -> None:
        """Try every pending firing once more without a pause, then give it up.

        A firing that is given up is logged as an error with its nominal time. Cancelling has a time limit
        too, because a call in a thread cannot be cancelled.
        """
        self._stopping.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_CANCELLED_WITHIN_SECONDS)

    async def _see_through(self, job: str, nominal_time: datetime) -> None:
        log = self._log.bind(job=job, nominal_time=nominal_time.isoformat())
        retrying = AsyncRetrying(
            wait=self._backoff,
            stop=lambda _: self._stopping.is_set(),
            sleep=self._sleep_unless_stopping,
            before_sleep=self._note_failure,
        )
        try:
            async with self._turns[job]:
                if job in self._given_up:
                    log.error("firing_given_up", reason="one before it was")
                    return
                try:
                    await retrying(self._attempt, job, nominal_time)
                except BaseException:
                    self._given_up.add(job)
                    raise
        except asyncio.CancelledError:
            log.error("firing_given_up", reason="it did not end in time")
            raise
        except RetryError as error:
            log.error("firing_given_up", reason=_named(error.last_attempt.exception()))
        else:
            self._failures.pop(job, None)
            log.info("job_fired")

    async def _attempt(self, job: str, nominal_time: datetime) -> None:
        await self._fire(job, nominal_time)

    async def _sleep_unless_stopping(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _note_failure(self, state: RetryCallState) -> None:
        job, nominal_time = state.args
        error = state.outcome.exception() if state.outcome else None
        failure = FiringFailure(job, nominal_time, state.attempt_number, _named(error))
        self._failures.pop(job, None)
        self._failures[job] = failure
        self._log.warning(
            "firing_waits",
            job=job,
            nominal_time=nominal_time.isoformat(),
            attempt=failure.attempts,
            retry_in_seconds=round(state.upcoming_sleep, 1),
            error=failure.error,
        )


def _named(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
