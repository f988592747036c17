"""Queries a tenant's events: pages of them, and what led to what."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import aclosing
from itertools import chain

import msgspec
from anyio.to_thread import run_sync

from application.audit.anchors import Anchor, AnchorBook
from application.audit.chain import Head, leaf_in_log
from application.audit.ports import Indexed, IndexReader, StoredLog, Wanted
from application.event_log import BEGINNING, position_of
from application.log_batches import PAGE_BYTES
from application.log_copy import Entry
from domain.event import Recorded, event_id

Reads = Callable[[Entry], Recorded]
"""Reads a stored event, in the payload's present version."""

MOST_IN_A_TREE = 1_000
"""The most events, or as many as fit in a page."""

DEEPEST = 100
"""Branches are cut below this depth, because readers of JSON do not accept any depth."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the trail: its row in the index, and what the log has in its place."""

    indexed: Indexed
    entry: Entry | None
    recorded: Recorded | None

    @property
    def is_intact(self) -> bool:
        """Whether the log still has what was indexed, or its hash if it is in an archive."""
        entry = self.entry
        return (
            entry is not None
            and (entry.stream, entry.version) == (self.indexed.stream, self.indexed.version)
            and leaf_in_log(entry) == self.indexed.leaf
        )


class Page(msgspec.Struct, frozen=True):
    """Some events. ``beyond`` leads on, if there are more."""

    events: Sequence[Found]
    total: int
    beyond: int | None


class Branch(msgspec.Struct):
    """An event, and the events that it led to."""

    event: Found
    children: "list[Branch]"
    is_cut: bool = False
    """Whether it led to more than is shown."""


class Tree(msgspec.Struct, frozen=True):
    """What led to what under one correlation id: of ``total`` events the first thousand."""

    roots: Sequence[Branch]
    total: int
    shown: int


class Trail:
    """The events of every tenant. Each query is for one tenant."""

    def __init__(self, log: StoredLog, index: IndexReader, anchors: AnchorBook, reads: Reads) -> None:
        self._log = log
        self._index = index
        self._anchors = anchors
        self._reads = reads

    async def page(self, wanted: Wanted, *, beyond: int, limit: int, newest_first: bool = False) -> Page:
        """Return up to ``limit`` events after a position, or a full page; against the log's order, those
        before it, or from the end on."""
        if newest_first:
            rows = await self._rows(_up_to(wanted, beyond), beyond=0, limit=limit + 1, newest_first=True)
        else:
            rows = await self._rows(wanted, beyond=beyond, limit=limit + 1)
        total = await self._count(wanted)
        found = await self._found(wanted.tenant, rows[:limit], newest_first=newest_first)
        return Page(found, total, found[-1].indexed.position if len(found) < len(rows) else None)

    async def tree(self, tenant: str, correlation_id: str) -> Tree:
        """Return the events of a correlation id, each below the one that caused it.

        An event that a request or a message caused is a root, and so is an event whose cause is not among
        them.
        """
        wanted = Wanted(tenant=tenant, correlation_id=correlation_id)
        rows = await self._rows(wanted, beyond=0, limit=MOST_IN_A_TREE)
        total = len(rows) if len(rows) < MOST_IN_A_TREE else await self._count(wanted)
        branches = {
            event_id(found.indexed.stream, found.indexed.version): Branch(found, [])
            for found in await self._found(tenant, rows)
        }
        roots: list[Branch] = []
        depths: dict[str, int] = {}
        for id, branch in branches.items():
            cause = branch.event.indexed.causation_id
            above = branches.get(cause) if cause in depths else None
            depths[id] = 1 if above is None or cause is None else depths[cause] + 1
            if above is None:
                roots.append(branch)
            elif depths[id] <= DEEPEST:
                above.children.append(branch)
            else:
                above.is_cut = True
        shown = sum(depth <= DEEPEST for depth in depths.values())
        return Tree(roots, total, shown)

    async def head(self, tenant: str) -> tuple[Head, str]:
        """Return the end of a tenant's chain, and the log's position after that event."""
        head = await self._index.head(tenant)
        newest = await self._index.at(tenant, head.position)
        if newest is None:
            return head, BEGINNING
        return head, position_of(newest.position, newest.stream, newest.version)

    async def anchor(self, tenant: str) -> Anchor | None:
        """Return the tenant's last anchor."""
        return await self._anchors.of(tenant)

    async def _rows(
        self, wanted: Wanted, *, beyond: int, limit: int, newest_first: bool = False
    ) -> Sequence[Indexed]:
        """Return a page from those of each spelling. A store that is asked for several values at once would
        read everything to keep the log's order."""
        pages = [
            await self._index.page(each, beyond=beyond, limit=limit, newest_first=newest_first)
            for each in wanted.spelled
        ]
        return sorted(chain(*pages), key=lambda row: row.position, reverse=newest_first)[:limit]

    async def _count(self, wanted: Wanted) -> int:
        return sum([await self._index.count(each) for each in wanted.spelled])

    async def _found(
        self, tenant: str, rows: Sequence[Indexed], *, newest_first: bool = False
    ) -> list[Found]:
        """Return the first of them, up to the one that fills a page. The log is read in its own order, so for
        a page against it the last ones are kept."""
        partition = self._log.partition_of(tenant)
        entries = OrderedDict[int, Entry | None]()
        size = 0
        async with aclosing(self._log.at(partition, [row.position for row in rows])) as parts:
            async for part in parts:
                for id in part.ids:
                    if not newest_first and size >= PAGE_BYTES:
                        break
                    entries[id] = entry = part.entries.get(id)
                    size += _bytes(entry)
                    while newest_first and size - _bytes(next(iter(entries.values()))) >= PAGE_BYTES:
                        size -= _bytes(entries.popitem(last=False)[1])
                if not newest_first and size >= PAGE_BYTES:
                    break

        def read() -> list[Found]:
            shown = [row for row in rows if row.position in entries]
            return [_found(row, entries[row.position], self._reads) for row in shown]

        return await run_sync(read)


def _bytes(entry: Entry | None) -> int:
    return 0 if entry is None else len(entry.state)


def _up_to(wanted: Wanted, position: int) -> Wanted:
    if not position or (wanted.before_position is not None and wanted.before_position <= position):
        return wanted
    return msgspec.structs.replace(wanted, before_position=position)


def _found(row: Indexed, entry: Entry | None, reads: Reads) -> Found:
    """Return what is in an event's place. An event of another tenant, or one that cannot be read, is not
    shown."""
    recorded = None
    if entry is not None and (entry.stream, entry.version) == (row.stream, row.version):
        try:
            recorded = reads(entry)
        except (LookupError, ValueError, msgspec.MsgspecError):
            recorded = None
    return Found(indexed=row, entry=entry, recorded=recorded)
