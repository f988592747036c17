"""The changes in Cosmos DB that archive a stream, and those that restore it.

A mark stands in the place of the event that would continue the stream, so that an append finds its version
taken. One batch writes the mark together with what archiving leaves of the stream's first and last events, so
a stream has all of these or none. Whoever finds the version taken also finds that the last event is archived;
whoever finds an archived event learns from the first event how many events there are.

If these are in several segments of the tenant's log, no batch can write them together. Then the mark is
written first, in the last segment, and whoever wants to append meanwhile is told to try again. A stream that
is being restored counts as archived until its first event is back, which is restored last.
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
"""The operations that a batch with a new mark has in addition to the others: it goes through the gate."""


class Change(NamedTuple):
    """An operation in a partition."""

    partition: str
    operation: Operation

    @property
    def is_new_mark(self) -> bool:
        """Whether this creates a mark. Nothing else is created here."""
        return self.operation[0] == "create"


class Stream(msgspec.Struct):
    """The changes to one stream, ordered by version, and the version that it ends with if it is archived."""

    replacements: Sequence[Replacement]
    ends_with: int | None

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.replacements[0].entry.stream

    @property
    def tenant(self) -> str:
        """The tenant of the stream."""
        return tenant_of(self.name)

    @property
    def is_to_end(self) -> bool:
        """Whether the stream is archived, and not restored."""
        return self.ends_with is not None

    @property
    def mark_id(self) -> str:
        """The id of the mark, which is that of the event that would continue the stream."""
        return event_id(self.name, self._last_version + 1)

    @property
    def _last_version(self) -> int:
        """The last version. A stream that is restored may be back in part; what is left of its first event
        says how many events it has."""
        if self.ends_with is not None:
            return self.ends_with
        first = self.replacements[0].entry
        left = left_of(first.state) if first.version == 1 else None
        if left is None or left.moved is None:
            return self.replacements[-1].entry.version
        return left.moved.events

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all documents that the change concerns."""
        return [*(id_of(each) for each in self.replacements), self.mark_id]


def streams_of(replacements: Sequence[Replacement], ends: Sequence[tuple[str, int]]) -> Sequence[Stream]:
    """Group replacements by stream."""
    versions = dict(ends)
    found: dict[str, list[Replacement]] = {}
    for each in sorted(replacements, key=lambda each: each.entry.version):
        found.setdefault(each.entry.stream, []).append(each)
    return [Stream(some, versions.get(name)) for name, some in found.items()]


class Found:
    """A stream as it is in the log at one moment. A new mark goes into the last segment."""

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
        """Yield the change that makes the mark this archive's."""
        if self.own_mark is None:
            yield self._mark_op()

    def turning(self) -> Sequence[Change]:
        """Return the changes to make at once, or else in this order. To archive, the mark is written with
        what is left of the first and the last event. To restore, the mark is deleted with the first event:
        all events together may be too large.

        The mark is written although it may exist already, if all is in one batch, because another archive may
        be about to take it over.
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
        """Return the changes to the other events."""
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
    """Group changes into batches, each in one partition and as large as Cosmos DB allows. A group within one
    partition is not split, unless it is too large for any batch."""
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
    """Return the id of the event's document."""
    return event_id(replacement.entry.stream, replacement.entry.version)


def _state_is(item: Item, each: Replacement, state: bytes) -> bool:
    return is_event(item) and item["position"] == each.entry.id and entry_of(item).state == state


def _is_done(item: Item, each: Replacement) -> bool:
    """Return whether the event is as the replacement has it. What is left of an event says who archived it
    and when; another run may have done so."""
    if _state_is(item, each, each.state):
        return True
    here, wanted = left_of(entry_of(item).state) if is_event(item) else None, left_of(each.state)
    if here is None or wanted is None:
        return False
    return (here.archive, here.leaf) == (wanted.archive, wanted.leaf)


def _is_archived(item: Item) -> bool:
    return is_event(item) and left_of(entry_of(item).state) is not None
