"""What one instance at a time does, and which instance that is.

Each part is done under a lease, which its holder renews all the time. If a holder dies, it stops renewing,
and another gets the lease when it has run out. A holder that was paused, or cut off, sees by its own clock
that the lease may have run out, before anybody else can have it. A holder that is alive but cannot do its
part, because it alone is cut off from the broker or the documents, stands back for a moment, so that an
instance that can takes over; if none does, it is the next itself. An instance whose clock differs from the
store's leaves what depends on the clock to others until that is right again, even if nobody does it.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Protocol, runtime_checkable

import anyio
import structlog

from application.ports import Leases
from application.store_clock import StoreClock, seconds_passed
from application.term import Term, never, no_switch
from domain.errors import Failure, LeaseLost
from domain.lease import Lease

BEATS_A_LEASE = 4
"""How often a lease is renewed in the time that it lasts."""

_BEAT_WITHOUT_RIVALS_SECONDS = 1.5
"""If nobody else wants a lease, it need be renewed only because the log may become another one."""

_TAKE_OVER_SECONDS = 10.0
_RELEASE_SECONDS = 1.0
_LEAVE_SECONDS = 5.0
_PAUSE_AFTER_A_FAILURE_SECONDS = 1.0
_STAND_BACK_AFTER_SECONDS = 10.0
_LONGEST_BEFORE_STANDING_BACK_SECONDS = 600.0
"""The time doubles each time: if nobody can do the part, it need not go round all the time."""

log = structlog.get_logger(__name__)


class Part(Protocol):
    """Something that one instance at a time does."""

    @property
    def name(self) -> str:
        """The lease's name."""
        ...

    @property
    def failing_seconds(self) -> float:
        """How long nothing of it has worked; 0 while it works."""
        ...

    async def take_over(self, lease: Lease) -> None:
        """Do what has to be done once with a new lease, before the service counts as started."""
        ...

    async def run(self, lease: Lease) -> None:
        """Do the part until :meth:`stop`. It is cancelled when the lease is lost."""
        ...

    def stop(self) -> None:
        """Ask :meth:`run` to return, for good."""
        ...


@runtime_checkable
class PassingPart(Part, Protocol):
    """A part that can be passed on to another instance without interrupting its current work."""

    def leave(self) -> None:
        """Ask :meth:`run` to return; it may be run again."""
        ...


class _Post:
    """A part, and this instance's term of it while it has one."""

    def __init__(self, part: Part, switches: Callable[[], int], is_barred: Callable[[], bool]) -> None:
        self.part = part
        self.is_barred = is_barred
        self._switches = switches
        self.term: Term | None = None
        self.is_stopping = False
        self.taken_over = anyio.Event()
        """Set when the part was taken over, or its first term has ended before that."""
        self.ended = anyio.Event()
        self.stands_back_until = 0.0
        self.leaving_since: float | None = None
        self.has_left = False
        self._patience_seconds = _STAND_BACK_AFTER_SECONDS
        self._failing_since: float | None = None
        self._begun_at: float | None = None
        self._changed = anyio.Event()

    async def next_term(self) -> Term | None:
        """Wait for the lease. Return None if the part is to be stopped before that."""
        while self.term is None and not self.is_stopping:
            await self._changed.wait()
        return self.term

    def note_held(self, fence: int | None, seconds: float, asked_at: float, asked_in: int) -> None:
        """Note that the lease is ours."""
        if self.term is not None and (self.term.fence != fence or self.term.is_of_another_log):
            self.term.scope.cancel()
        elif self.term is not None:
            self.term.extend(seconds, asked_at)
        elif not self.is_stopping and not self.has_left:
            self.term = Term(self.part.name, fence, self._switches, asked_in, self.is_barred)
            self.term.extend(seconds, asked_at)
            self._tell()

    def note_lost(self) -> None:
        """Note that another instance has the lease."""
        if self.term is not None:
            self.term.scope.cancel()

    def note_failure(self) -> None:
        """Note that the part could not even be begun, or failed."""
        self._begun_at = None
        if self._failing_since is None:
            self._failing_since = anyio.current_time()

    def note_begun(self) -> None:
        """Note that the part is at work. It reports itself how that goes, once it has been so for a
        moment."""
        self._begun_at = anyio.current_time()

    def stands_back(self, seconds: float) -> bool:
        """Return whether to let another instance try for some seconds, because there may be one, and this one
        has failed for long."""
        if self.term is None or self.term.fence is None:
            return False
        now = anyio.current_time()
        if self._begun_at is not None and now - self._begun_at > seconds:
            self._failing_since = None
        failing = self.part.failing_seconds
        if self._failing_since is not None:
            failing = max(failing, now - self._failing_since)
        if failing < self._patience_seconds:
            has_worked = self._begun_at is not None and now - self._begun_at > self._patience_seconds
            if not failing and has_worked:
                self._patience_seconds = _STAND_BACK_AFTER_SECONDS
            return False
        self._patience_seconds = min(2 * self._patience_seconds, _LONGEST_BEFORE_STANDING_BACK_SECONDS)
        self._failing_since = None
        self.give_way(seconds)
        log.warning("stands_back", part=self.part.name, failing_seconds=round(failing))
        return True

    def give_way(self, seconds: float) -> None:
        """Let another instance have the part, and do not ask for it for some seconds."""
        self.has_left = False
        self.stands_back_until = anyio.current_time() + seconds
        if self.term is not None:
            self.term.scope.cancel()

    def leave(self) -> None:
        """End the part once its current work is done, or some seconds later if that takes too long."""
        now = anyio.current_time()
        if self.term is None:
            return
        if self.leaving_since is None and isinstance(self.part, PassingPart):
            log.info("gives_way", part=self.part.name)
            self.leaving_since = now
            self.part.leave()
        elif self.leaving_since is None or now - self.leaving_since > _LEAVE_SECONDS:
            self.term.scope.cancel()

    def note_ended(self) -> bool:
        """Note that the term has ended. Return whether that was because it was left."""
        self.has_left, self.leaving_since = self.leaving_since is not None, None
        self.term = self._begun_at = None
        return self.has_left

    def stop(self) -> None:
        """End the part, or the waiting for its lease. A part that is being taken over is cancelled."""
        self.is_stopping = True
        self.part.stop()
        if self.term is not None and self._begun_at is None:
            self.term.scope.cancel()
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class Leadership:
    """Does the parts whose leases this instance holds. ``holder`` is a name that no other instance has.

    Each part is taken over again when the log's ``switches`` change. Those that go ``by_the_clock`` are left
    to others while our clock differs from that of the ``store``.
    """

    def __init__(
        self,
        leases: Leases,
        holder: str,
        parts: Sequence[Part],
        *,
        switches: Callable[[], int] = no_switch,
        store: StoreClock | None = None,
        by_the_clock: Collection[str] = (),
    ) -> None:
        self._leases = leases
        self._holder = holder
        self._switches = switches
        differs = never if store is None else store.differs
        self._posts = {
            part.name: _Post(part, switches, differs if part.name in by_the_clock else never)
            for part in parts
        }
        self._barred = set[str]()
        """What is held and must be given back."""
        self._away: str | None = None
        self._asked = anyio.Event()
        self._all_ended = anyio.Event()
        self._released = anyio.Event()

    @property
    def held(self) -> dict[str, bool]:
        """Each part, and whether this instance does it now."""
        return {name: post.term is not None for name, post in self._posts.items()}

    @property
    def away(self) -> str | None:
        """Why the leases could not be asked for the last time, or None if they could."""
        return self._away

    async def run(self) -> None:
        """Ask for the leases and do what they allow, until :meth:`finish` has ended every part."""
        try:
            async with anyio.create_task_group() as tasks:
                for post in self._posts.values():
                    tasks.start_soon(self._serve, post, name=f"part {post.part.name}")
                await self._ask()
                self._asked.set()
                if elsewhere := [name for name, held in self.held.items() if not held]:
                    log.info("standby", parts=elsewhere)
                while self._open():
                    with anyio.move_on_after(self._beat_seconds):
                        await self._all_ended.wait()
                        continue
                    await self._let_others_try()
                    await self._ask()
        finally:
            with anyio.move_on_after(_RELEASE_SECONDS, shield=True):
                await self._give_back(list(self._posts))
            self._released.set()

    async def taken_over(self) -> None:
        """Wait until the free parts have been taken over, for some seconds at most. Then the service counts
        as started."""
        with anyio.move_on_after(_TAKE_OVER_SECONDS):
            await self._asked.wait()
            for post in self._posts.values():
                if post.term is not None:
                    await post.taken_over.wait()

    async def finish(self) -> None:
        """End every part, and give the leases back. Repeated calls do no harm."""
        for post in self._posts.values():
            post.stop()
        await self._released.wait()

    @property
    def _beat_seconds(self) -> float:
        seconds = self._leases.seconds / BEATS_A_LEASE
        return seconds if math.isfinite(seconds) else _BEAT_WITHOUT_RIVALS_SECONDS

    def _open(self) -> list[str]:
        return [name for name, post in self._posts.items() if not post.ended.is_set()]

    async def _let_others_try(self) -> None:
        """Give back the leases of what this instance fails to do, and of what another instance with fewer
        parts should do, for long enough that every other one can ask."""
        seconds = 2 * self._leases.seconds / BEATS_A_LEASE
        given_back = [name for name in self._open() if self._posts[name].stands_back(seconds)]
        for name in self._open():
            if self._posts[name].has_left:
                self._posts[name].give_way(seconds)
                given_back.append(name)
        surplus = self._leases.surplus(self._holder)
        for name in self._open():
            if name in surplus and name not in given_back:
                self._posts[name].leave()
        if given_back:
            await self._give_back(given_back)

    async def _give_back(self, names: Sequence[str]) -> bool:
        """Give leases back, so that nobody has to wait for their end. If the store does not accept it, others
        wait, and the result is False."""
        try:
            await self._leases.release(names, self._holder)
        except Exception as error:
            if not isinstance(error, Failure):
                log.exception("leases_not_given_back")
            return False
        return True

    def _wanted(self) -> list[str]:
        now = anyio.current_time()
        return [
            name
            for name in self._open()
            if self._posts[name].stands_back_until <= now and not self._posts[name].is_barred()
        ]

    async def _ask(self) -> None:
        asked_at, seconds, asked_in = seconds_passed(), self._leases.seconds, self._switches()
        try:
            with anyio.move_on_after(seconds) as scope:
                held = await self._leases.hold(self._wanted(), self._holder)
            if scope.cancelled_caught:
                raise LeaseLost("the leases' store gave no answer in time")
        except Exception as error:
            if self._away is None:
                level = log.warning if isinstance(error, Failure) else log.exception
                level("leases_away", error=str(error))
            self._away = str(error) or type(error).__name__
            return
        self._away = None
        for name in self._open():
            post = self._posts[name]
            if post.is_barred():
                if name in held or post.term is not None:
                    self._barred.add(name)
                post.note_lost()
                continue
            self._barred.discard(name)
            if name in held:
                post.note_held(held[name], seconds, asked_at, asked_in)
            else:
                post.note_lost()
        if self._barred and await self._give_back(sorted(self._barred)):
            self._barred.clear()

    async def _serve(self, post: _Post) -> None:
        name = post.part.name
        while (term := await post.next_term()) is not None:
            if term.fence is not None:
                log.info("lease_taken", part=name, fence=term.fence)
            with term.scope, suppress(LeaseLost):
                await self._see_through(post, term)
            has_left = post.note_ended()
            post.taken_over.set()
            if not post.is_stopping and not has_left:
                log.warning("lease_lost", part=name, fence=term.fence)
        post.ended.set()
        if not self._open():
            self._all_ended.set()

    async def _see_through(self, post: _Post, term: Term) -> None:
        """Do the part until it is told to stop, whatever fails and whatever a library does to its task.

        aiormq has been seen to cancel tasks that wait on a connection that it gives up.
        """
        while not post.is_stopping and post.leaving_since is None:
            try:
                await post.part.take_over(term)
                post.taken_over.set()
                post.note_begun()
                if post.leaving_since is None:
                    await post.part.run(term)
            except LeaseLost:
                raise
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                log.exception("part_cancelled_by_a_library", part=term.name)
            except Exception as error:
                level = log.warning if isinstance(error, Failure) else log.exception
                level("part_failed", part=term.name, error=f"{type(error).__name__}: {error}")
                post.note_failure()
                await anyio.sleep(_PAUSE_AFTER_A_FAILURE_SECONDS)
