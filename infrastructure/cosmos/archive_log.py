"""Replaces events of a log in Cosmos DB by what archiving leaves of them, while services run.

A batch takes a hundred operations in one partition, and the events that are replaced together may be more.
Changes in one batch are made all or none. If the marks (``ended_streams.py``) do not fit into that batch,
they are made first, and they are deleted again if a stream turns out to continue. Each step first looks at
what is there and changes only what it has seen, so it can be repeated after a crash, a lost answer, or a step
of another process.
"""

from collections.abc import Mapping, Sequence

from anyio.to_thread import run_sync

from application.archive.ports import Replacement
from application.event_log import number_of
from application.snapshots import EVERY, SnapshotStore
from domain.errors import StoreUnavailable
from domain.lease import Unrivalled
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.ended_streams import GATE_OPERATIONS, Change, Found, Stream, batches_of, streams_of
from infrastructure.cosmos.ends import GATE_ID, gate
from infrastructure.cosmos.items import Item, Operation
from infrastructure.cosmos.log_items import LogItems
from infrastructure.cosmos.patience import patient
from infrastructure.cosmos.positions import CosmosPositions
from infrastructure.cosmos.transactions import MOST_OPERATIONS

_SELECT = "SELECT * FROM c WHERE c.id IN ({})"
_IDS_A_QUERY = 200
_MOST_TRIES = 10
"""How many tries in a row may make no progress."""


class CosmosArchiveLog:
    """``followers`` are the followers that may have positions in this store."""

    at_once = MOST_OPERATIONS - GATE_OPERATIONS

    def __init__(
        self,
        database: CosmosDatabase,
        container: str,
        positions: CosmosPositions,
        followers: Sequence[str],
        snapshots: SnapshotStore,
    ) -> None:
        self._log = LogItems(database, container)
        self._items = self._log.items
        self._positions = positions
        self._followers = followers
        self._snapshots = snapshots
        self._saved: Mapping[str, Mapping[str, str | None]] | None = None

    async def handled_until(self, partition: str) -> tuple[int, str] | None:
        """Return the number that every follower had reached when this was first asked, and the follower
        furthest behind.

        A follower that follows other tenants and has no position here has handled nothing here.
        """
        if self._saved is None:
            tenants = await patient(self._log.tenants)
            found = {follower: await self._positions_of(follower, tenants) for follower in self._followers}
            self._saved = {follower: saved for follower, saved in found.items() if any(saved.values())}
        return min(
            ((number_of(saved.get(partition)), follower) for follower, saved in self._saved.items()),
            default=None,
        )

    async def replace(self, replacements: Sequence[Replacement], ends: Sequence[tuple[str, int]]) -> bool:
        """Replace the states of events. Return False if nothing is left to do, or if it must not be done."""
        streams = streams_of(replacements, ends)
        is_changed = await self._replaced(streams)
        for stream, version in ends:
            if version >= EVERY:  # a shorter one has no snapshot
                await run_sync(self._snapshots.forget, stream)
        return is_changed

    async def tidy(self) -> str | None:
        """Do nothing: Cosmos DB frees the space as the documents become smaller."""
        return None

    async def _positions_of(self, follower: str, tenants: Sequence[str]) -> Mapping[str, str | None]:
        return await patient(lambda: self._positions.load_all(follower, tenants, Unrivalled(follower)))

    async def _replaced(self, streams: Sequence[Stream]) -> bool:
        is_changed, most_done, tries = False, 0, 0
        while tries < _MOST_TRIES:
            found = await self._found(streams)
            done = sum(each.steps_done for each in found)
            most_done, tries = max(done, most_done), 0 if done > most_done else tries + 1
            if not all(each.is_as_it_was for each in found):
                await self._give_up(found)
                return False
            if all(each.is_done for each in found):
                return is_changed
            is_changed = True
            await self._step(found)
        raise StoreUnavailable("what gives way to an archive is changed by others again and again")

    async def _step(self, found: Sequence[Found]) -> None:
        """Do as much as can be done on what was seen. Others may have changed it since."""
        ending = [each for each in found if each.stream.is_to_end]
        coming = [each for each in found if not each.stream.is_to_end]
        turning = list(batches_of([ops for each in ending if (ops := each.turning())]))
        if len(turning) > 1 and not any(each.is_begun for each in found):
            marking = [[change] for each in ending for change in each.marking()]
            if marking:
                await self._done(list(batches_of(marking)))
                return
        first = [ops for each in ending if (ops := each.turning())]
        between = [change for each in found for change in each.between()]
        rest = [[change] for change in sorted(between, key=lambda change: change.partition)]
        last = [ops for each in coming if (ops := each.turning())]
        await self._done(list(batches_of([*first, *rest, *last])))

    async def _done(self, batches: Sequence[Sequence[Change]]) -> None:
        """Send the batches in order, until one finds something other than what was seen."""
        for batch in batches:
            partition = batch[0].partition
            operations = [change.operation for change in batch]
            if any(change.is_new_mark for change in batch):
                through = await self._through_the_gate(partition)
                if through is None:
                    return
                operations = [through, *operations]
            if await self._batch(partition, operations) is not None:
                return

    async def _through_the_gate(self, partition: str) -> Operation | None:
        """Return the operation on the gate that must accompany a new mark, or None if the segment was closed
        meanwhile."""
        there = await patient(lambda: self._items.read(partition, GATE_ID))
        if there is None:
            return "create", (gate(partition, is_closed=False),), {}
        if there["isClosed"]:
            return None
        return "replace", (GATE_ID, gate(partition, is_closed=False)), {"if_match_etag": there["_etag"]}

    async def _batch(self, partition: str, batch: Sequence[Operation]) -> int | None:
        return await patient(lambda: self._items.batch(partition, batch))

    async def _give_up(self, found: Sequence[Found]) -> None:
        """Delete our marks, so that streams that cannot be archived continue. If the replacement of a stream
        has begun, the marks stay, because another archive may rely on them."""
        if any(each.is_begun for each in found):
            return
        for each in found:
            if each.own_mark is not None and each.stream.is_to_end:
                await self._unmark(each.own_mark)

    async def _unmark(self, mark: Item) -> None:
        await patient(lambda: self._items.delete_unchanged(mark))

    async def _found(self, streams: Sequence[Stream]) -> Sequence[Found]:
        ids = [id for stream in streams for id in stream.ids]
        there: dict[str, Item] = {}
        partitions = await patient(lambda: self._log.segments_of(streams[0].tenant))
        for partition in partitions:
            for begin in range(0, len(ids), _IDS_A_QUERY):
                there.update(await self._there(partition, ids[begin : begin + _IDS_A_QUERY]))
        return [Found(stream, there, partitions[-1]) for stream in streams]

    async def _there(self, partition: str, ids: Sequence[str]) -> Mapping[str, Item]:
        given = {f"@id{number}": id for number, id in enumerate(ids)}
        statement = _SELECT.format(", ".join(given))
        rows = await patient(lambda: self._items.query(partition, statement, given))
        return {row["id"]: row for row in rows}
