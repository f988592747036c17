"""What erasures name: what an archive may take, and what it notes of it.

Nobody can make the documents of an archived thing again, so an erasure takes them away. Not those that were
made again before the thing was archived: what is left of it notes the erasures that everybody had handled by
then. And what one names that somebody has not handled stays in the log until they have.
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
    """Streams that erasures of a tenant name.

    ``handled`` has of each that is named by those that everybody has handled, by key, the version of the last
    event of the key's erasure; ``open`` are those that others name.
    """

    handled: Mapping[str, Mapping[str, int]]
    open: frozenset[str]


class Erasures:
    """Those that a log tells of."""

    def __init__(self, index: IndexReader, log: StoredLog) -> None:
        self._index = index
        self._log = log

    async def of(self, tenant: str, *, until: int) -> Named:
        """Those of a tenant, where everybody has come to a place."""
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
        """Its events, by the index, and what it had not come to when it was first asked."""
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
