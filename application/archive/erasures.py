"""The erasures that affect archiving.

The documents of an archived thing cannot be made again, so an erasure deletes them, unless they were made
again before the thing was archived: the marker that is left in the log names the erasures that all followers
had handled by then. A thing that an unhandled erasure names stays in the log until all followers have handled
it.
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

    ``handled`` has the streams of erasures that all followers have handled, each with the version of the
    erasure's last event by key. ``open`` are the streams of other erasures.
    """

    handled: Mapping[str, Mapping[str, int]]
    open: frozenset[str]


class Erasures:
    """The erasures that a log records."""

    def __init__(self, index: IndexReader, log: StoredLog) -> None:
        self._index = index
        self._log = log

    async def of(self, tenant: str, *, until: int) -> Named:
        """Return the streams of a tenant's erasures. ``until`` is the event ID that all followers have
        reached."""
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
        """Yield the events of erasures from the index, and from the log those that were not indexed yet."""
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
