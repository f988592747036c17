"""Reads a stream's events from the container of the log, whichever segments they are in."""

from collections.abc import Sequence

from eventsourcing.persistence import StoredEvent

from application.log_batches import BATCH_BYTES, PAGE_BYTES
from infrastructure.cosmos.items import Item
from infrastructure.cosmos.log_container import LogContainer
from infrastructure.cosmos.log_documents import bytes_of_state, stored_event


class Streams:
    """The streams of one container. ``segments`` are the tenant's segments, from the first on."""

    def __init__(self, container: LogContainer) -> None:
        self._container = container

    def all_of(
        self,
        segments: Sequence[str],
        stream: str,
        gt: int | None = None,
        lte: int | None = None,
        *,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return a stream's events, however large they are."""
        if len(segments) == 1:
            found = self._in_segment(segments[0], stream, gt, lte, desc=desc, limit=limit)
            return [stored_event(item) for item in found]
        after = gt or 0
        if limit is not None and not desc:
            lte = after + limit if lte is None else min(lte, after + limit)
        found = self._newest_first(segments, stream, after, lte, limit)
        return [stored_event(item) for item in (found if desc else reversed(found))]

    def next_of(self, segments: Sequence[str], stream: str, after: int, limit: int) -> Sequence[StoredEvent]:
        """Return the events after a version, up to a full batch.

        Usually they are in the last segment. Only if they do not all fit in a batch are they searched from
        the first segment on.
        """
        until = after + limit
        if len(segments) > 1:
            found = self._newest_first(segments, stream, after, until, limit, room=BATCH_BYTES)
            if not found or found[-1]["version"] == after + 1:
                return [stored_event(item) for item in reversed(found)]
        items: list[Item] = []
        room = BATCH_BYTES
        for segment in segments:
            new = self._in_segment(segment, stream, after, until, room=room)
            items += new
            room -= sum(map(bytes_of_state, new))
            if room <= 0 or len(items) == limit:
                break
        return [stored_event(item) for item in items]

    def last_of(
        self, segments: Sequence[str], stream: str, before: int | None, limit: int
    ) -> Sequence[StoredEvent]:
        """Return the events before a version, or the last ones, the newest first, up to a full page."""
        until = None if before is None else before - 1
        return [
            stored_event(item)
            for item in self._newest_first(segments, stream, 0, until, limit, room=PAGE_BYTES)
        ]

    def _newest_first(
        self,
        segments: Sequence[str],
        stream: str,
        after: int,
        until: int | None,
        limit: int | None,
        room: int | None = None,
    ) -> list[Item]:
        """Return the events after one version and up to another, or to the one that fills the room. Versions
        have no gaps, so a version that is reached ends the search: the event ``after`` is asked for as well,
        and nothing before it need be searched."""
        found: list[Item] = []
        for segment in reversed(segments):
            new = self._in_segment(segment, stream, after - 1, until, desc=True, limit=limit, room=room)
            found += new
            if found:
                until = found[-1]["version"] - 1
                if until <= after or (limit is not None and len(found) >= limit):
                    break
            if room is not None:
                room -= sum(map(bytes_of_state, new))
                if room <= 0:
                    break
        return [item for item in found if item["version"] > after][:limit]

    def _in_segment(
        self,
        partition: str,
        stream: str,
        gt: int | None,
        lte: int | None,
        *,
        desc: bool = False,
        limit: int | None = None,
        room: int | None = None,
    ) -> list[Item]:
        """Return a stream's events in one segment, up to the one that fills the room."""
        conditions = ["c.stream = @stream"]
        parameters: dict[str, object] = {"@stream": stream}
        for name, sign, bound in (("@gt", ">", gt), ("@lte", "<=", lte)):
            if bound is not None:
                conditions.append(f"c.version {sign} {name}")
                parameters[name] = bound
        way = "DESC" if desc else "ASC"
        matching = f"FROM c WHERE {' AND '.join(conditions)} ORDER BY c.stream {way}, c.version {way}"
        if room is None:
            return self._container.query(partition, matching, parameters, limit)
        return self._container.query(partition, matching, parameters, limit, size=bytes_of_state, room=room)
