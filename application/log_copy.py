"""Copies a log from one store to another as it is, and proves by count and hash that it arrived.

Where both stores keep one order, ids are kept, so that every position stays valid wherever it is kept; what
goes between one order and one a tenant: see ``log_orders.py``. What lies beside the log goes with it: without
the outbox's position the new store would publish every message of the past again, without the timers nobody
would miss an answer that does not come, a step's call would never be made, and the next anchor would name
none before it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing
from hashlib import sha256
from typing import Any, Protocol, TypeVar

import msgspec

from application.ports import StepCall, Timer

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T", contravariant=True)

_MOST_NAMED = 3

_timer = msgspec.json.Decoder(Timer)
_step_call = msgspec.json.Decoder(StepCall)


class CannotCopy(Exception):
    """Why a log is not copied; what becomes of the target, :func:`what_is_kept` says."""


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


class KeptAnchor(msgspec.Struct, frozen=True, array_like=True):
    """The last anchor of a tenant, as a store keeps it, and whether it is known to be out."""

    tenant: str
    sequence: int
    anchor: bytes
    is_out: bool


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
        """Return how many events there are."""
        ...

    def events(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Yield every event, ordered by id."""
        ...

    async def positions(self) -> Sequence[FollowerPosition]:
        """Return every position, ordered by follower and partition."""
        ...

    def timers(self) -> AsyncGenerator[Sequence[Timer], None]:
        """Yield every timer, ordered by id."""
        ...

    def step_calls(self) -> AsyncGenerator[Sequence[StepCall], None]:
        """Yield every call that a step still asks for, ordered by id."""
        ...

    async def anchors(self) -> Sequence[KeptAnchor]:
        """Return the last anchor of each tenant, ordered by tenant."""
        ...

    async def finish(self) -> None:
        """The last that is asked: see that what was read is still all that there is."""
        ...


class LogWriter(Protocol):
    """The writing side of a store: all that it writes counts, or nothing, as whoever opened it decides.

    Each may raise :class:`CannotCopy`.
    """

    leaves_a_half: bool
    """Whether what is written stays where the copy is given up now, and the next one goes on with it."""

    @property
    def written(self) -> LogReader:
        """What the store holds with what was written, read from the store afresh."""
        ...

    async def begin(self) -> int:
        """How many events there are already, of a log that is whole. None of them: write."""
        ...

    async def put_events(self, batches: AsyncIterator[Sequence[Entry]]) -> None:
        """Write events under their own ids."""
        ...

    async def put_positions(self, positions: Sequence[FollowerPosition]) -> None:
        """Write positions. They replace those that are there."""
        ...

    async def put_timers(self, batches: AsyncIterator[Sequence[Timer]]) -> None:
        """Write timers. They replace those that are there."""
        ...

    async def put_step_calls(self, batches: AsyncIterator[Sequence[StepCall]]) -> None:
        """Write the calls of steps. They replace those that are there."""
        ...

    async def put_anchors(self, anchors: Sequence[KeptAnchor]) -> None:
        """Write anchors. They replace those that are there."""
        ...

    async def finish(self) -> None:
        """The last step before it counts: see that the next event will come behind, and that nobody else
        has been at it."""
        ...


class Digest(msgspec.Struct, frozen=True):
    """What proves that two logs are the same; where they have other orders, each tenant's own."""

    count: int
    sha256: str
    tenants: Mapping[str, "Digest"] = {}

    def __str__(self) -> str:
        of = f" of {len(self.tenants)} tenants" if self.tenants else ""
        return f"{self.count} events{of}, sha256 {self.sha256}"

    def unlike(self, other: "Digest") -> str:
        """The first tenants that are not the same in another, to be put behind a message."""
        named = sorted(
            name
            for name in self.tenants.keys() | other.tenants.keys()
            if self.tenants.get(name) != other.tenants.get(name)
        )
        more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        return f", unlike in {', '.join(named[:_MOST_NAMED])}{more}" if named else ""


class Digests(Protocol):
    """Takes in a log's entries as they are read, and tells what proves them."""

    def add(self, batch: Sequence[Entry]) -> None:
        """The next ones."""
        ...

    def digest(self) -> Digest:
        """Of all so far."""
        ...


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


def what_is_kept(target: LogWriter | None) -> str:
    """What becomes of a copy that is given up now, for messages."""
    return "half a copy stays" if target is not None and target.leaves_a_half else "nothing was kept"


async def copy(
    source: LogReader,
    target: LogWriter,
    progress: Progress,
    digests: Callable[[], Digests] | None = None,
) -> Copied:
    """Copy a log into a store that has none. Where the same log is there already, it is verified alone.

    ``digests`` make the proof, where it is not one over the entries in the order of their ids.

    Raises:
        CannotCopy: the target holds something else, or not what the source holds. Roll it back.
    """
    proof = digests or _InOrder
    held = await target.begin()
    if held:
        return await _compared(source, target.written, held, progress, proof)
    count = await source.count()
    sent, sent_timers, sent_calls = proof(), _InOrder(), _InOrder()
    with progress("copying", count) as moved:
        async with aclosing(source.events()) as events:
            await target.put_events(_noted(events, sent, moved))
    positions = await source.positions()
    await target.put_positions(positions)
    async with aclosing(source.timers()) as timers:
        await target.put_timers(_noted(timers, sent_timers))
    async with aclosing(source.step_calls()) as calls:
        await target.put_step_calls(_noted(calls, sent_calls))
    anchors = await source.anchors()
    await target.put_anchors(anchors)

    expected = sent.digest()
    found = await _digest_of(target.written, "verifying", count, progress, proof())
    kept = what_is_kept(target)
    if expected != found or expected.count != count:
        raise CannotCopy(
            f"what was written is not what was read, so {kept}: of {count} events the source gave"
            f" {expected}; the target held {found}{expected.unlike(found)}"
        )
    arrived = await _all_of(target.written.timers(), _InOrder())
    if list(await target.written.positions()) != list(positions) or arrived != sent_timers.digest():
        raise CannotCopy(f"the positions or the timers did not arrive as they were, so {kept}")
    arrived_calls = await _all_of(target.written.step_calls(), _InOrder())
    if arrived_calls != sent_calls.digest():
        raise CannotCopy(f"the steps' calls did not arrive as they were, so {kept}")
    if list(await target.written.anchors()) != list(anchors):
        raise CannotCopy(f"the anchors did not arrive as they were, so {kept}")
    await source.finish()
    await target.finish()
    return Copied(expected, found, positions, arrived.count, arrived_calls.count, was_there=False)


async def _compared(
    source: LogReader, target: LogReader, held: int, progress: Progress, proof: Callable[[], Digests]
) -> Copied:
    count = await source.count()
    if count != held:
        raise CannotCopy(
            f"the target holds {held} events already, and the source {count}:"
            " it must be empty, or hold exactly the same log"
        )
    expected = await _digest_of(source, "reading the source", count, progress, proof())
    found = await _digest_of(target, "reading the target", count, progress, proof())
    if expected != found:
        raise CannotCopy(
            f"the target holds another log already: it has {found}, and the source"
            f" {expected}{expected.unlike(found)}"
        )
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
    timers = await _all_of(target.timers(), _InOrder())
    calls = await _all_of(target.step_calls(), _InOrder())
    return Copied(expected, found, positions, timers.count, calls.count, was_there=True)


async def _digest_of(
    reader: LogReader, doing: str, count: int, progress: Progress, digests: Digests
) -> Digest:
    with progress(doing, count) as seen:
        return await _all_of(reader.events(), digests, seen)


async def _all_of(
    batches: AsyncGenerator[Sequence[S], None],
    digests: "_Takes[S]",
    seen: Callable[[int], None] = lambda _: None,
) -> Digest:
    async with aclosing(batches):
        async for _ in _noted(batches, digests, seen):
            pass
    return digests.digest()


async def _noted(
    batches: AsyncIterator[Sequence[S]], digests: "_Takes[S]", seen: Callable[[int], None] = lambda _: None
) -> AsyncIterator[Sequence[S]]:
    async for batch in batches:
        digests.add(batch)
        yield batch
        seen(len(batch))


class _Takes(Protocol[T]):
    def add(self, batch: Sequence[T]) -> None: ...

    def digest(self) -> Digest: ...


class _InOrder:
    """SHA-256 over each entry as a MessagePack array: no two logs have the same bytes."""

    def __init__(self) -> None:
        self._count = 0
        self._hash = sha256()
        self._pack = msgspec.msgpack.Encoder().encode

    def add(self, batch: Sequence[msgspec.Struct]) -> None:
        self._count += len(batch)
        self._hash.update(b"".join(map(self._pack, batch)))

    def digest(self) -> Digest:
        return Digest(self._count, self._hash.hexdigest())
