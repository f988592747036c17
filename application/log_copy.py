"""Copies a log from one store to another as it is, and proves by count and hash that it arrived.

Ids are kept, so that every position in the log stays valid wherever it is kept. What lies beside the log goes
with it: without the outbox's position the new store would publish every message of the past again,
without the timers nobody would miss an answer that does not come, and a step's call would never be made.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, aclosing
from hashlib import sha256
from typing import Any, Protocol, TypeVar

import msgspec

from application.ports import StepCall, Timer

S = TypeVar("S", bound=msgspec.Struct)

_timer = msgspec.json.Decoder(Timer)
_step_call = msgspec.json.Decoder(StepCall)


class CannotCopy(Exception):
    """Why a log is not copied; nothing has been changed."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One event as a store holds it. ``id`` is its place in the log."""

    id: int
    stream: str
    version: int
    topic: str
    state: bytes


class FollowerPosition(msgspec.Struct, frozen=True, array_like=True):
    """How far a follower whose position lies beside the log has come."""

    follower: str
    partition: str
    position: str


def entries_of(rows: Sequence[tuple[Any, ...]], place: str) -> list[Entry]:
    """The entries in a store's rows; ``place`` says which store's.

    Raises:
        CannotCopy: a value is missing, or of another type than the service writes.
    """
    try:
        return msgspec.convert(rows, list[Entry], builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise CannotCopy(
            f"{place}: an event between the ids {rows[0][0]} and {rows[-1][0]} is damaged: {error}"
        ) from error


def timers_of(stored: Iterable[bytes], place: str) -> list[Timer]:
    """The timers in what a store holds of them; ``place`` says which.

    Raises:
        CannotCopy: one is damaged.
    """
    try:
        return [_timer.decode(each) for each in stored]
    except (msgspec.MsgspecError, TypeError) as error:
        raise CannotCopy(f"{place}: a timer is damaged: {error}") from error


def step_calls_of(stored: Iterable[bytes], place: str) -> list[StepCall]:
    """The steps' calls in what a store holds of them; ``place`` says which.

    Raises:
        CannotCopy: one is damaged.
    """
    try:
        return [_step_call.decode(each) for each in stored]
    except (msgspec.MsgspecError, TypeError) as error:
        raise CannotCopy(f"{place}: a step's call is damaged: {error}") from error


class LogReader(Protocol):
    """The reading side of a store: its log, which does not change meanwhile, and what lies beside it.

    What it holds is given in batches, and need not fit into memory. Each may raise :class:`CannotCopy`.
    """

    async def count(self) -> int:
        """How many events there are."""
        ...

    def events(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Every event, in the order of the ids."""
        ...

    async def positions(self) -> Sequence[FollowerPosition]:
        """Every position, in the order of follower and partition."""
        ...

    def timers(self) -> AsyncGenerator[Sequence[Timer], None]:
        """Every timer, in the order of the ids."""
        ...

    def step_calls(self) -> AsyncGenerator[Sequence[StepCall], None]:
        """Every call that a step still wants made, in the order of the ids."""
        ...


class LogWriter(Protocol):
    """The writing side of a store: one transaction, that whoever opened it commits or rolls back.

    Each may raise :class:`CannotCopy`.
    """

    @property
    def written(self) -> LogReader:
        """What the store holds as the transaction sees it, read from the store afresh."""
        ...

    async def put_events(self, batches: AsyncIterator[Sequence[Entry]]) -> None:
        """Write events under their own ids."""
        ...

    async def put_positions(self, positions: Sequence[FollowerPosition]) -> None:
        """Write positions in place of those that are there."""
        ...

    async def put_timers(self, batches: AsyncIterator[Sequence[Timer]]) -> None:
        """Write timers in place of those that are there."""
        ...

    async def put_step_calls(self, batches: AsyncIterator[Sequence[StepCall]]) -> None:
        """Write steps' calls in place of those that are there."""
        ...

    async def finish(self) -> None:
        """The last step before a commit: see that the next event will get a higher id."""
        ...


class Digest(msgspec.Struct, frozen=True):
    """What proves that two logs are the same."""

    count: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.count} events, sha256 {self.sha256}"


class Copied(msgspec.Struct, frozen=True):
    """What the two sides hold, each as it was read from there."""

    source: Digest
    target: Digest
    positions: Sequence[FollowerPosition]
    timers: int
    step_calls: int
    was_there: bool
    """Whether the target held all of it before, so that nothing was written."""


class Progress(Protocol):
    """Shows how far a pass over that many events has come."""

    def __call__(self, doing: str, events: int) -> AbstractContextManager[Callable[[int], None]]:
        """A pass; what it gives is told of every batch's size."""
        ...


async def copy(source: LogReader, target: LogWriter, progress: Progress) -> Copied:
    """Copy a log into a store that has none. Where the same log is there already, it is verified alone.

    Raises:
        CannotCopy: the target holds something else, or not what the source holds. Roll it back.
    """
    held = await target.written.count()
    if held:
        return await _compared(source, target.written, held, progress)
    count = await source.count()
    sent, sent_timers, sent_calls = _Digester(), _Digester(), _Digester()
    with progress("copying", count) as moved:
        async with aclosing(source.events()) as events:
            await target.put_events(_noted(events, sent, moved))
    positions = await source.positions()
    await target.put_positions(positions)
    async with aclosing(source.timers()) as timers:
        await target.put_timers(_noted(timers, sent_timers))
    async with aclosing(source.step_calls()) as calls:
        await target.put_step_calls(_noted(calls, sent_calls))

    expected, found = sent.digest(), await _digest_of(target.written, "verifying", count, progress)
    if expected != found or expected.count != count:
        raise CannotCopy(
            f"what was written is not what was read, so nothing was kept: of {count} events the source gave"
            f" {expected}; the target held {found}"
        )
    arrived = await _all_of(target.written.timers())
    if list(await target.written.positions()) != list(positions) or arrived.digest() != sent_timers.digest():
        raise CannotCopy("the positions or the timers did not arrive as they were, so nothing was kept")
    if (await _all_of(target.written.step_calls())).digest() != sent_calls.digest():
        raise CannotCopy("the steps' calls did not arrive as they were, so nothing was kept")
    await target.finish()
    return Copied(expected, found, positions, sent_timers.count, sent_calls.count, was_there=False)


async def _compared(source: LogReader, target: LogReader, held: int, progress: Progress) -> Copied:
    count = await source.count()
    if count != held:
        raise CannotCopy(
            f"the target holds {held} events already, and the source {count}:"
            " it must be empty, or hold exactly the same log"
        )
    expected = await _digest_of(source, "reading the source", count, progress)
    found = await _digest_of(target, "reading the target", count, progress)
    if expected != found:
        raise CannotCopy(f"the target holds another log already: it has {found}, and the source {expected}")
    positions = await target.positions()
    known = {(each.follower, each.partition) for each in positions}
    lost = [
        each.follower for each in await source.positions() if (each.follower, each.partition) not in known
    ]
    if lost:
        raise CannotCopy(
            f"the target holds the same events, but no position of {', '.join(lost)}:"
            " a service on it would begin at the first event"
        )
    timers, calls = await _all_of(target.timers()), await _all_of(target.step_calls())
    return Copied(expected, found, positions, timers.count, calls.count, was_there=True)


async def _digest_of(reader: LogReader, doing: str, count: int, progress: Progress) -> Digest:
    with progress(doing, count) as seen:
        return (await _all_of(reader.events(), seen)).digest()


async def _all_of(
    batches: AsyncGenerator[Sequence[S], None], seen: Callable[[int], None] = lambda _: None
) -> "_Digester":
    digester = _Digester()
    async with aclosing(batches):
        async for _ in _noted(batches, digester, seen):
            pass
    return digester


async def _noted(
    batches: AsyncIterator[Sequence[S]], digester: "_Digester", seen: Callable[[int], None] = lambda _: None
) -> AsyncIterator[Sequence[S]]:
    async for batch in batches:
        digester.add(batch)
        yield batch
        seen(len(batch))


class _Digester:
    """SHA-256 over each entry as a MessagePack array: no two logs have the same bytes."""

    def __init__(self) -> None:
        self.count = 0
        self._hash = sha256()
        self._pack = msgspec.msgpack.Encoder().encode

    def add(self, batch: Sequence[msgspec.Struct]) -> None:
        self.count += len(batch)
        self._hash.update(b"".join(map(self._pack, batch)))

    def digest(self) -> Digest:
        return Digest(self.count, self._hash.hexdigest())
