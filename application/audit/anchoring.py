"""Anchors every head that has moved, on a schedule. One instance at a time does this.

An anchor is first made and stored beside the log. Then it is published, in the file and through the broker,
and the tenant's next anchor is not made before that. So whatever crashes in between, the same anchor is
published, perhaps twice, and never another in its place.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import anyio
import structlog

from application.audit.anchors import Anchor, AnchorBook, AnchorFile, Signer, anchor_of, message_of
from application.audit.chain import Head
from application.audit.numbers import numbered
from application.audit.ports import IndexReader
from application.event_log import number_of
from application.event_store import EventStore
from application.periodic_part import PeriodicPart
from application.ports import Clock, Publisher
from application.side_by_side import outcomes_of, raise_first
from domain.errors import AnchorFileUnavailable
from domain.lease import Lease
from domain.values import timestamp

T = TypeVar("T")

AT_ONCE = 500

_LATE_INTERVALS = 2
"""Anchoring is late after so many intervals without success."""

_LOOK_AGAIN_SECONDS = 0.1

log = structlog.get_logger(__name__)


class Anchoring(PeriodicPart):
    """A part of the service that needs its lease."""

    name = "audit_anchors"

    def __init__(
        self,
        store: EventStore,
        index: IndexReader,
        book: AnchorBook,
        file: AnchorFile,
        publisher: Publisher,
        signer: Signer,
        clock: Clock,
        *,
        every_seconds: float,
    ) -> None:
        super().__init__(every_seconds=every_seconds)
        self._store = store
        self._index = index
        self._book = book
        self._file = file
        self._publisher = publisher
        self._signer = signer
        self._clock = clock
        self._in_file: set[str] = set()
        self._published: set[str] = set()
        self.lost_heads = 0
        """How many anchored heads the log no longer had when the tenant was anchored again, since start."""

        self.due_at: datetime | None = None
        """When all heads must be anchored again. It is in the past if that fails, or if another instance does
        it."""

    async def take_over(self, lease: Lease) -> None:
        """Learn the anchors that the file has and the store has not, because the store may be a restored
        backup."""
        kept = {anchor.tenant_id: anchor for anchor in await self._book.last()}
        unknown = [
            anchor
            for anchor in await self._file.last()
            if anchor.tenant_id not in kept or kept[anchor.tenant_id].sequence < anchor.sequence
        ]
        if unknown:
            log.warning("anchors_learnt_from_the_file", tenants=len(unknown))
            for some in _parts(unknown):
                await self._book.keep(some, lease)

    async def do(self, lease: Lease) -> None:
        """Anchor, and set when that must be done again."""
        self.due_at = self.due_at or self._next_due()
        await self.anchor(lease)
        self.due_at = self._next_due()

    def _next_due(self) -> datetime:
        return self._clock.now() + _LATE_INTERVALS * timedelta(seconds=self.every_seconds)

    async def anchor(self, lease: Lease) -> None:
        """Anchor each head that has moved since its last anchor, up to what the log holds now.

        Raises:
            Failure: something outside is away; anchors that were made are published the next time.
            LeaseLost: another instance anchors now.
        """
        await self._send(await self._book.waiting(), lease)
        for partition in await self._store.partitions():
            if not await self._index_has_come_to(partition, await self._store.head(partition)):
                return
        last = {anchor.tenant_id: anchor for anchor in await self._book.last()}
        moved = [head for head in await self._index.heads() if _has_moved(head, last.get(head.tenant))]
        for some in _parts(moved):
            made = [await self._made(head, last.get(head.tenant)) for head in some]
            lease.check()
            await self._book.keep(made, lease)
            await self._send(made, lease)

    async def _index_has_come_to(self, partition: str, position: str) -> bool:
        """Wait for the index: while it is being made again, a head in it is not the tenant's."""
        while number_of(await self._index.reached(partition)) < number_of(position):
            if self.is_stopping:
                return False
            await anyio.sleep(_LOOK_AGAIN_SECONDS)
        return True

    async def _made(self, head: Head, previous: Anchor | None) -> Anchor:
        held = previous is None or await self._still_holds(previous)
        if previous is not None and not held:
            self.lost_heads += 1
            log.error(
                "anchored_head_is_lost",
                tenant_id=head.tenant,
                number=previous.number,
                anchored_at=previous.anchored_at,
                why="the log was changed, or is another: run workflow-orchestrator audit verify",
            )
        return anchor_of(
            head,
            previous,
            previous_held=held,
            anchored_at=timestamp(self._clock.now()),
            signer=self._signer,
        )

    async def _still_holds(self, anchor: Anchor) -> bool:
        row = await self._index.at(anchor.tenant_id, anchor.position)
        if row is None or (row.tenant, row.number) != (anchor.tenant_id, anchor.number):
            row = await numbered(self._index, anchor.tenant_id, anchor.number)
        return row is not None and row.chain.hex() == anchor.hash

    async def _send(self, anchors: Sequence[Anchor], lease: Lease) -> None:
        """Send messages even if the file fails. Their receivers have a proof, and the file gets the anchors
        later."""
        without_file: AnchorFileUnavailable | None = None
        for some in _parts(anchors):
            lease.check()
            try:
                await self._add_to_file(some)
            except AnchorFileUnavailable as error:
                without_file = error
            raise_first(await outcomes_of(lambda anchor: self._publish(anchor, lease), some))
            if without_file is None:
                await self._book.note_out(some, lease)
        if without_file is not None:
            raise without_file
        self._in_file.clear()
        self._published.clear()

    async def _add_to_file(self, anchors: Sequence[Anchor]) -> None:
        to_file = [anchor for anchor in anchors if anchor.id not in self._in_file]
        await self._file.append(to_file)
        self._in_file.update(anchor.id for anchor in to_file)

    async def _publish(self, anchor: Anchor, lease: Lease) -> None:
        if anchor.id not in self._published:
            await self._publisher.publish(message_of(anchor), lease)
            self._published.add(anchor.id)


def _has_moved(head: Head, anchored: Anchor | None) -> bool:
    return anchored is None or (head.number, head.chain.hex()) != (anchored.number, anchored.hash)


def _parts(all: Sequence[T]) -> list[Sequence[T]]:
    return [all[begin : begin + AT_ONCE] for begin in range(0, len(all), AT_ONCE)]
