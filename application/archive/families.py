"""Which things belong together: a workflow, its children, and everything that their steps have asked for or
offered.

One of them may still need another, so they are archived together or not at all.
"""

from array import array
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

import msgspec

from application.archived_state import is_archived
from application.audit.ports import Indexed, IndexReader, StoredLog, Wanted
from application.log_copy import Entry

CATEGORIES = ("workflow", "approval", "task", "backfill")
"""The things that end. The streams of jobs, concurrency groups, definitions, delegations and admissions
continue as long as there are any, so they are not archived."""

_AT_ONCE = 2_000


class Thing:
    """A stream, as the index knows it."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.positions = array("q")
        self.latest_at = 0
        """The latest time of its events, in microseconds since 1970."""

    def add(self, row: Indexed) -> None:
        """Add one of its events, in the log's order."""
        self.positions.append(row.position)
        self.latest_at = max(self.latest_at, row.at)


Family = Sequence[Thing]


class _Ref(msgspec.Struct):
    workflow_id: str | None = None


class _Payload(msgspec.Struct):
    """What the first event of a thing says about the workflow that it is for."""

    parent: _Ref | None = None
    step: _Ref | None = None
    workflow_id: str | None = None


class _Stored(msgspec.Struct):
    data: _Payload


_stored = msgspec.json.Decoder(_Stored)


async def families_of(
    tenant: str, index: IndexReader, log: StoredLog, *, until: int
) -> AsyncIterator[Family]:
    """Yield the tenant's families, of events up to a position that are in no archive yet."""
    things: dict[str, Thing] = {}
    wanted, beyond = Wanted(tenant=tenant, before_position=until + 1), 0
    while rows := await index.page(wanted, beyond=beyond, limit=_AT_ONCE):
        for row in rows:
            if row.category in CATEGORIES:
                things.setdefault(row.stream, Thing(row.stream)).add(row)
        beyond = rows[-1].position
    above = await _above(log.partition_of(tenant), things, log)
    for streams in _grouped(above):
        yield [things[stream] for stream in streams]


def together(firsts: Sequence[Entry]) -> Sequence[Sequence[str]]:
    """Return the streams that belong together, by the first event of each."""
    return _grouped({entry.stream: _above_of(entry) for entry in firsts})


def _grouped(above: Mapping[str, str | None]) -> Sequence[Sequence[str]]:
    by_root: dict[str, list[str]] = {}
    for stream in above:
        by_root.setdefault(_root(stream, above), []).append(stream)
    return list(by_root.values())


async def _above(partition: str, things: Mapping[str, Thing], log: StoredLog) -> dict[str, str | None]:
    """Return the stream of the workflow that each is for. What is archived already is left out."""
    above: dict[str, str | None] = {}
    for some in _parts(list(things.values())):
        first = {thing.positions[0]: thing.stream for thing in some}
        async for part in log.at(partition, first):
            for position, entry in part.entries.items():
                if entry.stream == first[position] and not is_archived(entry.state):
                    above[entry.stream] = _above_of(entry)
    return above


def _above_of(entry: Entry) -> str | None:
    tenant, category, _ = entry.stream.split("/", 2)
    try:
        payload = _stored.decode(entry.state).data
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if category == "task":
        workflow_id = payload.workflow_id
    else:
        ref = payload.parent or payload.step
        workflow_id = None if ref is None else ref.workflow_id
    return None if workflow_id is None else f"{tenant}/workflow/{workflow_id}"


def _root(stream: str, above: Mapping[str, str | None]) -> str:
    """Return the topmost stream, also if that is in an archive already: what was for it still belongs
    together."""
    seen = {stream}
    while (upper := above.get(stream)) is not None and upper not in seen:
        seen.add(upper)
        stream = upper
    return stream


def _parts(all: Sequence[Thing]) -> Iterable[Sequence[Thing]]:
    return (all[begin : begin + _AT_ONCE] for begin in range(0, len(all), _AT_ONCE))
