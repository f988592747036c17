"""What is asked for in Cosmos DB where a stream gives way to what is left of it, and where it comes back.

In the place of the event that a stream would go on with stands a mark, so that an append finds its version
taken. It comes with what is left of the stream's first and last events, in one batch: a stream has all of
these or none. So who finds its version taken finds the last event archived, and who finds one of a stream
archived finds how many there are by the first.

Where these are in several segments of the tenant's log, no batch takes them together: then the mark comes
first, in the last segment; whoever would append meanwhile is told to try again. What comes back is told to be
archived until its first event is back, which is the last thing that is done.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from application.archive.ports import Replacement
from application.archived_state import left_of
from application.audit.chain import tenant_of
from domain.event import event_id
from infrastructure.cosmos.items import PARTITION_KEY, Item, Operation
from infrastructure.cosmos.log_documents import end_mark, entry_of, is_event, with_state
from infrastructure.cosmos.transactions import size_of, takes

GATE_OPERATIONS = 1
"""Beside the others in a batch: through the gate."""


class Change(NamedTuple):
    """An operation in a partition."""

    partition: str
    operation: Operation

    @property
    def is_new_mark(self) -> bool:
        """Nothing else is made here."""
        return self.operation[0] == "create"


class Stream(msgspec.Struct):
    """What of one stream is to change, in the order of the versions; where it ends, if it is to end."""

    replacements: Sequence[Replacement]
    ends_with: int | None

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.replacements[0].entry.stream

    @property
    def tenant(self) -> str:
        """Whose it is."""
        return tenant_of(self.name)

    @property
    def is_to_end(self) -> bool:
        """Whether it gives way, and does not come back."""
        return self.ends_with is not None

    @property
    def mark_id(self) -> str:
        """Of what stands where it would go on."""
        return event_id(self.name, self._last_version + 1)

    @property
    def _last_version(self) -> int:
        """What comes back may be back in part; what is left of the first event tells how many there are."""
        if self.ends_with is not None:
            return self.ends_with
        first = self.replacements[0].entry
        left = left_of(first.state) if first.version == 1 else None
        if left is None or left.moved is None:
            return self.replacements[-1].entry.version
        return left.moved.events

    @property
    def ids(self) -> Sequence[str]:
        """Of all that there is of it."""
        return [*(id_of(each) for each in self.replacements), self.mark_id]


def streams_of(replacements: Sequence[Replacement], ends: Sequence[tuple[str, int]]) -> Sequence[Stream]:
    """The streams that replacements are of."""
    versions = dict(ends)
    found: dict[str, list[Replacement]] = {}
    for each in sorted(replacements, key=lambda each: each.entry.version):
        found.setdefault(each.entry.stream, []).append(each)
    return [Stream(some, versions.get(name)) for name, some in found.items()]


class Found:
    """A stream as it is in the log at one moment; a new mark goes into the last segment."""

    def __init__(self, stream: Stream, there: Mapping[str, Item], last_partition: str) -> None:
        self.stream = stream
        self._last_partition = last_partition
        self._mark = there.get(stream.mark_id)
        pairs = [(each, there.get(id_of(each))) for each in stream.replacements]
        self._to_do = [
            (each, item)
            for each, item in pairs
            if item is not None and _state_is(item, each, each.entry.state)
        ]
        done = [each for each, item in pairs if item is not None and _is_done(item, each)]
        self.is_begun = any(item is not None and _is_archived(item) for _, item in pairs)
        self.steps_done = len(done) + (self.own_mark is not None)
        self.is_done = len(done) == len(pairs) and (not stream.is_to_end or self._mark is not None)
        goes_on = stream.is_to_end and self._mark is not None and is_event(self._mark)
        self.is_as_it_was = not goes_on and len(done) + len(self._to_do) == len(pairs)

    @property
    def own_mark(self) -> Item | None:
        """The mark, if it was made for the same archive."""
        mark = self._mark
        return mark if mark is not None and not is_event(mark) and mark["archive"] == self._archive else None

    def marking(self) -> Iterator[Change]:
        """What makes the mark this archive's."""
        if self.own_mark is None:
            yield self._mark_op()

    def turning(self) -> Sequence[Change]:
        """What is done at once, or in this order: the mark comes with what is left of the first event and of
        the last, or goes with that of the first: what comes back may be too large to come together.

        The mark is written although it may be there, if that is in one batch: another archive may be about to
        take it.
        """
        ends = [self._replace(each, item) for each, item in self._to_do if self._is_at_an_end(each)]
        if self.stream.ends_with is not None:
            mark = self._mark_op()
            if not ends:
                return [mark] if self._mark is None else []
            is_guard = ends[0].partition == mark.partition
            return [mark, *ends] if self.own_mark is None or is_guard else ends
        if self._mark is None or is_event(self._mark):
            return ends
        unmarked: Operation = ("delete", (self._mark["id"],), {"if_match_etag": self._mark["_etag"]})
        return [Change(self._mark[PARTITION_KEY], unmarked), *ends]

    def between(self) -> Sequence[Change]:
        """What is done of the other events."""
        return [self._replace(each, item) for each, item in self._to_do if not self._is_at_an_end(each)]

    @property
    def _archive(self) -> str:
        left = left_of(self.stream.replacements[0].state)
        return "" if left is None else left.archive

    def _is_at_an_end(self, each: Replacement) -> bool:
        if self.stream.ends_with is None:
            return each.entry.version == 1
        return each.entry.version in (1, self.stream.ends_with)

    def _mark_op(self) -> Change:
        last = self.stream.replacements[-1].entry
        there = self._mark
        partition = self._last_partition if there is None else there[PARTITION_KEY]
        mark = end_mark(partition, last.stream, last.version, self._archive)
        if there is None:
            return Change(partition, ("create", (mark,), {}))
        return Change(partition, ("replace", (mark["id"], mark), {"if_match_etag": there["_etag"]}))

    def _replace(self, each: Replacement, item: Item) -> Change:
        changed = with_state(item, each.state)
        replaced: Operation = ("replace", (changed["id"], changed), {"if_match_etag": item["_etag"]})
        return Change(item[PARTITION_KEY], replaced)


def batches_of(groups: Sequence[Sequence[Change]]) -> Iterator[Sequence[Change]]:
    """Changes as many together as a batch takes, each in one partition; no group is split that is in one
    partition, unless it is too large for any."""
    batch: list[Change] = []
    size = 0
    for group in groups:
        for partition, together in groupby(group, key=lambda change: change.partition):
            part = list(together)
            more = sum(size_of(change.operation[1]) for change in part)
            has_room = takes(len(batch) + len(part), size + more, beside=GATE_OPERATIONS)
            if batch and (not has_room or batch[0].partition != partition):
                yield batch
                batch, size = [], 0
            batch += part
            size += more
    if batch:
        yield batch


def id_of(replacement: Replacement) -> str:
    """Of the event's document."""
    return event_id(replacement.entry.stream, replacement.entry.version)


def _state_is(item: Item, each: Replacement, state: bytes) -> bool:
    return is_event(item) and item["position"] == each.entry.id and entry_of(item).state == state


def _is_done(item: Item, each: Replacement) -> bool:
    """What is left says who archived it and when, and another run may have done that."""
    if _state_is(item, each, each.state):
        return True
    here, wanted = left_of(entry_of(item).state) if is_event(item) else None, left_of(each.state)
    if here is None or wanted is None:
        return False
    return (here.archive, here.leaf) == (wanted.archive, wanted.leaf)


def _is_archived(item: Item) -> bool:
    return is_event(item) and left_of(entry_of(item).state) is not None
