"""Checks a tenant's chain in stretches while the service runs, for people who look at the trail.

Each event that the index knows is compared with the log, each hash with the one before, and the chain with
the tenant's last anchor beside the log. Whoever can write all three can make them fit. Only ``audit verify``
with anchors from outside shows that, and events that were put into the log without the index.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec
from anyio.to_thread import run_sync

from application.audit.anchors import Anchor, AnchorBook
from application.audit.chain import genesis_of, leaf_in_log, linked
from application.audit.findings import Kind
from application.audit.ports import Indexed, IndexReader, StoredLog, Wanted
from application.log_copy import Entry

AT_ONCE = 1_000
"""How many events the index is asked for. Their bytes are read a full batch at a time."""


class NoSuchPlace(LookupError):
    """The tenant has no event there."""


class Flaw(msgspec.Struct, frozen=True):
    """What is wrong at one number of the chain. ``row`` is what the index knows of the event there."""

    kind: Kind
    number: int
    row: Indexed | None = None


class Stretch(msgspec.Struct, frozen=True):
    """What is found from one event of a tenant to another. ``beyond`` leads on, if there are more."""

    first: int
    last: int
    flaws: Sequence[Flaw]
    beyond: int | None


class Checking:
    """Every tenant's chain. Each query is for one tenant."""

    def __init__(self, log: StoredLog, index: IndexReader, anchors: AnchorBook) -> None:
        self._log = log
        self._index = index
        self._anchors = anchors

    async def check(self, tenant: str, *, beyond: int, limit: int) -> Stretch:
        """Check up to ``limit`` events after a position, which must be that of an event of the tenant, or 0.

        Raises:
            NoSuchPlace: it is not.
        """
        partition = self._log.partition_of(tenant)
        number, chain = await self._at(tenant, beyond)
        anchor = await self._anchors.of(tenant)
        first = number + 1
        flaws: list[Flaw] = []
        while number - first + 1 < limit:
            asked = min(AT_ONCE, limit - (number - first + 1))
            rows = await self._index.page(Wanted(tenant=tenant), beyond=beyond, limit=asked)
            if not rows:
                break
            async for part in self._log.at(partition, [row.position for row in rows]):
                some, rows = rows[: len(part.ids)], rows[len(part.ids) :]
                flaws += await run_sync(_flaws, (number, chain), some, part.entries, anchor)
                number, chain, beyond = some[-1].number, some[-1].chain, some[-1].position
        more = await self._index.page(Wanted(tenant=tenant), beyond=beyond, limit=1)
        if not more and anchor is not None and anchor.number > number:
            flaws.append(Flaw("truncated", anchor.number))
        return Stretch(first, number, flaws, beyond if more else None)

    async def _at(self, tenant: str, position: int) -> tuple[int, bytes]:
        """Return the chain after the event at a position."""
        if not position:
            return 0, genesis_of(tenant)
        row = await self._index.at(tenant, position)
        if row is None or row.tenant != tenant:
            raise NoSuchPlace(position)
        return row.number, row.chain


def _flaws(
    before: tuple[int, bytes],
    rows: Sequence[Indexed],
    entries: Mapping[int, Entry],
    anchor: Anchor | None,
) -> list[Flaw]:
    flaws = []
    places = [before, *((row.number, row.chain) for row in rows)]
    for (place, following), row in zip(pairwise(places), rows, strict=True):
        entry = entries.get(row.position)
        if entry is None or (entry.stream, entry.version) != (row.stream, row.version):
            flaws.append(Flaw("deleted", row.number, row))
        elif leaf_in_log(entry) != row.leaf:
            flaws.append(Flaw("edited", row.number, row))
        if following != (place[0] + 1, linked(place[1], row.leaf)):
            flaws.append(Flaw("index_altered", row.number, row))
        if anchor is not None and row.number == anchor.number and row.chain.hex() != anchor.hash:
            flaws.append(Flaw("anchor_contradicted", row.number, row))
    return flaws
