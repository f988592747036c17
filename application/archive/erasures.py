"""What erasures name: this decides what an archive may take, and what it notes.

Nobody can make the documents of an archived thing again, so an erasure deletes them. It does not delete those
that were made again before the thing was archived: what is left of the thing notes the erasures that
everybody had handled by then. A thing that an unhandled erasure names stays in the log until everybody has
handled that.
"""

from collections.abc import AsyncIterator, Mapping

import msgspec

from application.audit.ports import IndexReader, StoredLog, Wanted
from application.event_log import number_of
from application.log_copy import Entry
from domain.privacy import ErasureCarriedOut

_AT_ONCE = 1000


class _Payload(msgspec.Struct):
    key_id: str
    streams: tuple[str, ...]


class _Stored(msgspec.Struct):
    data: _Payload


_stored = msgspec.json.Decoder(_Stored)


class Named(msgspec.Struct, frozen=True):
    """The streams that erasures of a tenant name.

    ``handled`` has, for each stream that an erasure handled by everybody names, the version of the last event
    of the key's erasure, by key. ``open`` are the streams that other erasures name.
    """

    handled: Mapping[str, Mapping[str, int]]
    open: frozenset[str]


class Erasures:
    """The erasures that a log records."""

    def __init__(self, index: IndexReader, log: StoredLog) -> None:
        self._index = index
        self._log = log

    async def of(self, tenant: str, *, until: int) -> Named:
        """Return those of a tenant, given the id that everybody has reached."""
        handled: dict[str, dict[str, int]] = {}
        open = set[str]()
        async for entry in self._told(tenant):
            payload = _stored.decode(entry.state).data
            if entry.id > until:
                open.update(payload.streams)
                continue
            for stream in payload.streams:
                handled.setdefault(stream, {})[payload.key_id] = entry.version
        return Named(handled, frozenset(open))

    async def _told(self, tenant: str) -> AsyncIterator[Entry]:
        """Yield the events of erasures, by the index, and those that it had not reached when it was first
        asked."""
        partition = self._log.partition_of(tenant)
        reached = number_of(await self._index.reached(partition))
        wanted, beyond = Wanted(tenant=tenant, topic=ErasureCarriedOut.TOPIC, before_position=reached + 1), 0
        while rows := await self._index.page(wanted, beyond=beyond, limit=_AT_ONCE):
            async for part in self._log.at(partition, [row.position for row in rows]):
                for entry in part.entries.values():
                    yield entry
            beyond = rows[-1].position
        while some := await self._log.read(partition, reached, _AT_ONCE):
            for entry in some:
                if entry.topic == ErasureCarriedOut.TOPIC and entry.stream.startswith(f"{tenant}/"):
                    yield entry
            reached = some[-1].id
