"""A tenant's events as NDJSON that proves itself: the bytes that are hashed, the hashes, and a signed head.

It is read and encoded some hundred events at a time, by calls that leave nothing open in between. So its
memory does not depend on its size, and it blocks nothing in the store while its reader is slow.
"""

import base64
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from anyio.to_thread import run_sync

from application.archived_state import archive_of, archived_leaf
from application.audit.anchors import Signer, signed_head
from application.audit.chain import FORMAT, Head, genesis_of
from application.audit.ports import Indexed, IndexReader, StoredLog, Wanted, microseconds
from application.event_log import position_of
from application.log_copy import Entry
from application.ports import Clock
from application.privacy import proving
from domain.event import Recorded
from domain.values import timestamp

AT_ONCE = 500

Shows = Callable[[Recorded], dict[str, Any]]
"""Returns an event as people read it."""

ReadsWithKeys = Callable[[Entry], tuple[Recorded, list[bytes | None]]]
"""Reads a stored event, and returns the keys of the values that are sealed in it."""


class Export:
    """Makes exports. Without a signer their heads are not signed."""

    def __init__(
        self,
        log: StoredLog,
        index: IndexReader,
        reads: ReadsWithKeys,
        shows: Shows,
        signer: Signer | None,
        clock: Clock,
    ) -> None:
        self._log = log
        self._index = index
        self._reads = reads
        self._shows = shows
        self._signer = signer
        self._clock = clock

    async def chunks(self, wanted: Wanted) -> AsyncGenerator[bytes, None]:
        """Yield some lines at a time: a header, a line per event, and the head as it was at the beginning.

        ``after`` is where the export begins. Events that do not match the other filters are exported as
        hashes only, so that the chain is complete.
        """
        head, spelled = await self._index.head(wanted.tenant), wanted.spelled
        first, previous = await self._first(wanted, head)
        begins = head.number + 1 if first is None else first.number
        yield self._header(wanted.tenant, begins, previous, head.number)
        partition = self._log.partition_of(wanted.tenant)
        everything = Wanted(tenant=wanted.tenant, before_position=head.position + 1)
        beyond = head.position if first is None else first.position - 1
        while rows := await self._index.page(everything, beyond=beyond, limit=AT_ONCE):
            asked = {row.position for row in rows if any(_is_asked(row, each) for each in spelled)}
            async for lines in self._some(partition, rows, asked):
                yield lines
            beyond = rows[-1].position
        yield _line({"kind": "head", **self._told(head)})

    async def selected(self, tenant: str, positions: Collection[int]) -> AsyncGenerator[bytes, None]:
        """Yield the same for the events at some positions, with the hashes of everything between them, and
        the head as it was after the last of them. This is the content of an archive."""
        partition = self._log.partition_of(tenant)
        first, last = [await self._index.at(tenant, at) for at in (min(positions), max(positions))]
        if first is None or last is None:
            raise LookupError("the index does not have what is to be exported")
        before = await self._index.preceding(tenant, first.position)
        previous = genesis_of(tenant) if before is None else before.chain
        yield self._header(tenant, first.number, previous, last.number)
        wanted = Wanted(tenant=tenant, before_position=last.position + 1)
        beyond = first.position - 1
        while rows := await self._index.page(wanted, beyond=beyond, limit=AT_ONCE):
            asked = {row.position for row in rows}.intersection(positions)
            async for lines in self._some(partition, rows, asked):
                yield lines
            beyond = rows[-1].position
        head = Head(tenant=tenant, number=last.number, position=last.position, chain=last.chain)
        yield _line({"kind": "head", **self._told(head)})

    def _header(self, tenant: str, begins: int, previous: bytes, number: int) -> bytes:
        return _line(
            {
                "kind": "header",
                "format": FORMAT,
                "tenantId": tenant,
                "from": begins,
                "previous": previous.hex(),
                "number": number,
                "exportedAt": timestamp(self._clock.now()),
            }
        )

    async def _first(self, wanted: Wanted, head: Head) -> tuple[Indexed | None, bytes]:
        """Return the first event, and the chain's hash before it."""
        from_there = Wanted(tenant=wanted.tenant, after=wanted.after, after_position=wanted.after_position)
        rows = await self._index.page(from_there, beyond=0, limit=1)
        if not rows or rows[0].position > head.position:
            return None, head.chain
        before = await self._index.preceding(wanted.tenant, rows[0].position)
        return rows[0], genesis_of(wanted.tenant) if before is None else before.chain

    async def _some(
        self, partition: str, rows: Sequence[Indexed], asked: set[int]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the lines of some rows, in their order."""
        async for part in self._log.at(partition, asked):
            until = bisect_right(rows, part.ids[-1], key=lambda row: row.position)
            some, rows = rows[:until], rows[until:]
            yield await run_sync(self._lines, some, asked, part.entries)
        if rows:
            yield await run_sync(self._lines, rows, asked, {})

    def _lines(self, rows: Sequence[Indexed], asked: set[int], entries: Mapping[int, Entry]) -> bytes:
        return b"".join(
            self._event(row, entries.get(row.position)) if row.position in asked else _leaf(row)
            for row in rows
        )

    def _event(self, row: Indexed, entry: Entry | None) -> bytes:
        if entry is not None and archived_leaf(entry.state) == row.leaf:
            return _leaf(row, archive_of(entry.stream, entry.state))
        line: dict[str, Any] = {
            "kind": "event",
            "number": row.number,
            "position": position_of(row.position, row.stream, row.version),
            "stream": row.stream if entry is None else entry.stream,
            "version": row.version if entry is None else entry.version,
            "topic": row.topic if entry is None else entry.topic,
        }
        if entry is not None:
            try:
                line["state"] = entry.state.decode()
            except UnicodeDecodeError:
                line["stateBase64"] = base64.b64encode(entry.state).decode()
        line["leaf"], line["hash"] = row.leaf.hex(), row.chain.hex()
        if entry is not None and entry.stream == row.stream:
            with suppress(LookupError, ValueError, msgspec.MsgspecError):
                recorded, keys = self._reads(entry)
                line["event"] = self._shows(recorded)
                if keys:
                    line["keys"] = proving.written(keys)
        return _line(line)

    def _told(self, head: Head) -> dict[str, Any]:
        if self._signer is not None:
            signed = signed_head(head, timestamp(self._clock.now()), self._signer)
            told: dict[str, Any] = msgspec.to_builtins(signed)
            return told
        return {
            "tenantId": head.tenant,
            "number": head.number,
            "position": head.position,
            "hash": head.chain.hex(),
        }


def _is_asked(row: Indexed, wanted: Wanted) -> bool:
    return (
        wanted.topic in (None, row.topic)
        and wanted.aggregate_id in (None, row.aggregate_id)
        and wanted.actor in (None, row.actor)
        and wanted.correlation_id in (None, row.correlation_id)
        and (wanted.after is None or row.at > microseconds(wanted.after))
        and (wanted.before is None or row.at < microseconds(wanted.before))
        and (wanted.before_position is None or row.position < wanted.before_position)
    )


def _leaf(row: Indexed, archive: str | None = None) -> bytes:
    """Return only the hashes. ``archive`` names the file that has the event, if it was asked for and is in
    one."""
    line = {"kind": "leaf", "number": row.number, "leaf": row.leaf.hex(), "hash": row.chain.hex()}
    return _line(line if archive is None else {**line, "archive": archive})


def _line(content: dict[str, Any]) -> bytes:
    return msgspec.json.encode(content) + b"\n"
