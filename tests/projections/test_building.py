"""However a build is cut into batches, and wherever it is killed, it makes what a follower makes."""

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import cycle
from typing import cast

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import StoreFull
from domain.event import Recorded
from domain.privacy import ErasureCarriedOut
from domain.share import Share
from projections import folding
from projections.building import Builder, Progress
from projections.folding import Folder, StreamedLog, wants
from projections.ports import Container, Document
from tests.builders import NOW, TENANT
from tests.projections.memory_documents import Key, MemoryDocuments
from tests.projections.stories import PROJECTIONS, approval_story, logs, workflow_story
from tests.projections.test_materializer import materialized


class Batch(msgspec.Struct, frozen=True):
    events: Sequence[Recorded]
    position: str
    passed: int
    is_cut: bool = False


class ListLog:
    """A log in a list; positions are numbers."""

    def __init__(self, events: Sequence[Recorded]) -> None:
        self.events = list(events)

    async def partitions(self) -> Sequence[str]:
        return ["log"]

    async def read_part(
        self,
        partition: str,
        after: str | None,
        limit: int,
        until: int | None,
        wants: Callable[[str, str], bool],
    ) -> Batch | None:
        start = int(after or 0)
        events = self.events[:until][start : start + limit]
        wanted = [each for each in events if wants(each.stream, each.event.TOPIC)]
        return Batch(wanted, str(start + len(events)), len(events)) if events else None

    async def count_after(self, partition: str, after: str | None) -> int:
        return len(self.events) - int(after or 0)


class CutLog(ListLog):
    """Its batches are cut here and there, as where something is archived between two readings."""

    def __init__(self, events: Sequence[Recorded], sizes: Sequence[int]) -> None:
        super().__init__(events)
        self._sizes = cycle(sizes)

    async def read_part(
        self,
        partition: str,
        after: str | None,
        limit: int,
        until: int | None,
        wants: Callable[[str, str], bool],
    ) -> Batch | None:
        return await super().read_part(partition, after, min(limit, next(self._sizes)), until, wants)


class PartitionedLog(ListLog):
    """The same events in three partitions, each with an order of its own."""

    async def partitions(self) -> Sequence[str]:
        return ["0", "1", "2"]

    async def read_part(
        self,
        partition: str,
        after: str | None,
        limit: int,
        until: int | None,
        wants: Callable[[str, str], bool],
    ) -> Batch | None:
        return await self._part(partition).read_part(partition, after, limit, until, wants)

    async def count_after(self, partition: str, after: str | None) -> int:
        return await self._part(partition).count_after(partition, after)

    def _part(self, partition: str) -> ListLog:
        return ListLog([each for each in self.events if Share(int(partition), 3).has(each.stream)])


class StuckLog(ListLog):
    """Its third batch never comes."""

    def __init__(self, events: Sequence[Recorded]) -> None:
        super().__init__(events)
        self.reads = 0
        self.is_stuck = anyio.Event()

    async def read_part(
        self,
        partition: str,
        after: str | None,
        limit: int,
        until: int | None,
        wants: Callable[[str, str], bool],
    ) -> Batch | None:
        self.reads += 1
        if self.reads == 3:
            self.is_stuck.set()
            await anyio.sleep_forever()
        return await super().read_part(partition, after, limit, until, wants)


class MemorySite:
    """A place to build in that fails at a given write, with nothing of it written."""

    def __init__(self, fails_at: int | None = None, *, slowness: int = 1) -> None:
        self.slowness = slowness
        """How often others are at work before a write takes effect."""
        self.documents = MemoryDocuments()
        self.progress: Progress | None = None
        self.fails_at = fails_at
        self.writes = 0

    async def get_many(self, container: Container, keys: Sequence[Key]) -> dict[Key, Document]:
        return await self.documents.get_many(container, keys)

    async def write(
        self,
        made: Mapping[str, Sequence[Document]],
        progress: Progress,
        remade: Mapping[str, Sequence[Document]],
    ) -> None:
        for _ in range(self.slowness):
            await anyio.lowlevel.checkpoint()
        self.writes += 1
        if self.writes == self.fails_at:
            raise OSError("killed")
        for projection in PROJECTIONS:
            await self.documents.put(projection.container, made[projection.container.name])
        self.progress = progress


class FullSite(MemorySite):
    """It fails while a batch is ready to be written and the next one is asked for."""

    def __init__(self, log: StuckLog) -> None:
        super().__init__()
        self._log = log

    async def write(
        self,
        made: Mapping[str, Sequence[Document]],
        progress: Progress,
        remade: Mapping[str, Sequence[Document]],
    ) -> None:
        await self._log.is_stuck.wait()
        raise StoreFull("no room")


def builder(log: ListLog, site: MemorySite, batch_size: int = 100) -> Builder:
    def now() -> datetime:
        return NOW

    return Builder(
        PROJECTIONS,
        cast(StreamedLog, log),
        site,
        begun=site.progress,
        live=MemoryDocuments(),
        now=now,
        batch_size=batch_size,
    )


def of(site: MemorySite) -> dict[str, dict[Key, Document]]:
    return {name: kept for name, kept in site.documents.containers.items() if kept}


def alive(log: list[Recorded]) -> dict[str, dict[Key, Document]]:
    return {name: kept for name, kept in materialized([log]).items() if kept}


@given(logs(), st.integers(1, 12))
def test_a_build_makes_what_a_follower_makes_byte_for_byte(log: list[Recorded], batch_size: int) -> None:
    site = MemorySite()
    anyio.run(builder(ListLog(log), site, batch_size=batch_size).catch_up)
    assert of(site) == alive(log)
    assert site.progress is not None
    assert (site.progress.handled, site.progress.positions) == (len(log), {"log": str(len(log))})


@given(logs(), st.integers(1, 6), st.lists(st.integers(1, 5), max_size=4))
def test_a_build_that_is_killed_goes_on_where_it_was(
    log: list[Recorded], batch_size: int, kills: list[int]
) -> None:
    site = MemorySite()
    for at in kills:
        site.fails_at = site.writes + at
        with suppress(OSError):
            anyio.run(builder(ListLog(log), site, batch_size=batch_size).catch_up)
    site.fails_at = None
    anyio.run(builder(ListLog(log), site, batch_size=batch_size).catch_up)
    assert of(site) == alive(log)


@given(logs(), st.integers(1, 6), st.lists(st.integers(1, 4), max_size=3))
def test_a_log_of_several_partitions_makes_what_one_of_one_does(
    log: list[Recorded], batch_size: int, kills: list[int]
) -> None:
    site = MemorySite()
    for at in kills:
        site.fails_at = site.writes + at
        with suppress(OSError):
            anyio.run(builder(PartitionedLog(log), site, batch_size=batch_size).catch_up)
    site.fails_at = None
    anyio.run(builder(PartitionedLog(log), site, batch_size=batch_size).catch_up)
    assert of(site) == alive(log)


@given(logs(), st.integers(1, 12), st.integers(2, 4))
def test_several_who_take_a_share_each_make_what_one_makes(
    log: list[Recorded], batch_size: int, shares: int
) -> None:
    site = MemorySite()
    one = builder(ListLog(log), site, batch_size=batch_size)
    folders = [
        Folder(
            PROJECTIONS,
            cast(StreamedLog, ListLog(log)),
            built=site,
            live=MemoryDocuments(),
            share=Share(number, shares),
            may_be_there=False,
        )
        for number in range(shares)
    ]
    half = len(log) // 2

    async def build() -> None:
        assert await one.catch_up_by(folders, until={"log": half}) == half
        assert await one.catch_up() == len(log) - half

    anyio.run(build)
    assert of(site) == alive(log)


@given(logs(), st.lists(st.lists(st.integers(1, 9), min_size=1), min_size=2, max_size=4))
def test_those_whose_batches_end_in_different_places_leave_nothing_out(
    log: list[Recorded], sizes: list[list[int]]
) -> None:
    site = MemorySite()
    one = builder(ListLog(log), site)
    folders = [
        Folder(
            PROJECTIONS,
            cast(StreamedLog, CutLog(log, each)),
            built=site,
            live=MemoryDocuments(),
            share=Share(number, len(sizes)),
            may_be_there=False,
        )
        for number, each in enumerate(sizes)
    ]

    async def build() -> None:
        assert await one.catch_up_by(folders, until={"log": len(log)}) == len(log)

    anyio.run(build)
    assert of(site) == alive(log)


def test_what_was_asked_for_when_a_write_fails_is_not_told_of_by_asyncio() -> None:
    told: list[str] = []

    async def build() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what["message"]))
        log = StuckLog(workflow_story(("answer", "risk_analysis"), ("answer", "forecast")))
        with pytest.raises(StoreFull):
            await builder(log, FullSite(log), batch_size=1).catch_up()
        gc.collect()

    anyio.run(build)
    assert told == []


@given(st.text(min_size=1), st.integers(1, 9))
def test_a_stream_is_in_one_share_and_an_erasure_in_each(stream: str, of: int) -> None:
    shares = [Share(number, of) for number in range(of)]
    assert [wants(share, stream, "Any") for share in shares].count(True) == 1
    assert all(wants(share, stream, ErasureCarriedOut.TOPIC) for share in shares)


@given(logs(), st.integers(1, 3), st.sampled_from([1, 40]))
def test_documents_that_were_let_go_are_read_again_once_they_are_written(
    log: list[Recorded], batch_size: int, slowness: int
) -> None:
    kept = folding._KEPT
    folding._KEPT = 0
    try:
        site = MemorySite(slowness=slowness)
        anyio.run(builder(ListLog(log), site, batch_size=batch_size).catch_up)
    finally:
        folding._KEPT = kept
    assert of(site) == alive(log)


@given(logs(), st.data())
def test_a_build_up_to_a_position_stops_right_there_and_goes_on(
    log: list[Recorded], data: st.DataObject
) -> None:
    stop = data.draw(st.integers(0, len(log)))
    site, half_way = MemorySite(), alive(log[:stop])

    async def build() -> None:
        one = builder(ListLog(log), site, batch_size=7)
        assert await one.catch_up(until={"log": stop}) == stop
        assert of(site) == half_way
        assert await one.catch_up() == len(log) - stop

    anyio.run(build)
    assert of(site) == alive(log)


def test_an_event_that_cannot_be_folded_is_left_out_and_the_others_go_on() -> None:
    ours, broken = approval_story("approve"), approval_story("reject", id="a-2")
    site = MemorySite()
    anyio.run(builder(ListLog([*broken[1:], *ours]), site).catch_up)
    assert list(of(site)["hitl_approvals"]) == [(TENANT, "a-1")]


def test_progress_tells_a_rate_and_how_long_it_will_take() -> None:
    progress = Progress(500, left=1_000, rate=250.0, at=NOW)
    assert progress.seconds_left == 4.0
    assert msgspec.structs.replace(progress, rate=0.0).seconds_left is None
