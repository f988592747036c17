"""Several processes fold a long log, each with a share of the streams, because Python runs one thread at a
time.

They decode and fold, which is nearly all the work. This process writes the results. They store nothing: if
one of them ends early, or this process does, the build continues from what was written.
"""

import multiprocessing
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from multiprocessing.connection import Connection
from pathlib import Path

import anyio
import msgspec
from anyio.to_thread import run_sync

from application.event_log import number_of
from application.event_store import EventStore
from config.garbage_collection import without_collections
from config.logs import configure_logs
from config.projections import Projections
from config.sections import Settings
from config.start import CannotStart
from config.stores import SharedStores, open_beside
from domain.errors import Failure, StoreUnavailable
from domain.share import Share
from infrastructure.sqlite.builds import SqliteBuilds, SqliteBuilt
from projections.building import Builder
from projections.folding import Folded, Folder, Made, Stretch
from projections.ports import Container, Document
from projections.projection import Projection

WORTH_EVENTS = 100_000
"""From so many events on processes are used: starting one takes as long as some 25,000 events."""

MOST = 4
"""The most processes that fold, each with a connection to the log. More than two were not measured."""

_ENDS_SECONDS = 5.0


class _Failed(msgspec.Struct, frozen=True, tag=True):
    why: str


class _Done(msgspec.Struct, frozen=True, tag=True):
    folded: Folded | None = None


class _Remade(msgspec.Struct, frozen=True, tag=True):
    made: dict[str, list[Document]]


class _Work(msgspec.Struct, frozen=True):
    """The next batch; or, without a stretch, what an erasure leaves."""

    stretch: Stretch | None = None


_answer = msgspec.msgpack.Decoder(_Failed | _Done | _Remade)
_work = msgspec.msgpack.Decoder(_Work)
_encode = msgspec.msgpack.Encoder().encode


class _Task(msgspec.Struct, frozen=True):
    """What a process needs to know to fold its share."""

    settings: Settings
    names: Sequence[str]
    share: Share
    path: Path
    places: Sequence[tuple[str, Container]]
    may_be_there: bool


class FoldingProcess:
    """A share that a process of its own folds."""

    def __init__(self, task: _Task) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_fold, args=(theirs, task), daemon=True)
        self._process.start()
        theirs.close()

    async def fold(self, stretch: Stretch) -> Folded | None:
        """Return the next batch of the share.

        Raises:
            StoreUnavailable: the process failed, or ended.
        """
        answer = await self._asked(_Work(stretch))
        assert isinstance(answer, _Done)
        return answer.folded

    async def remade(self) -> Made:
        """Return what was built before an erasure that the last batch reports."""
        answer = await self._asked(_Work())
        assert isinstance(answer, _Remade)
        return answer.made

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(_ENDS_SECONDS)
        self._process.kill()

    async def _asked(self, work: _Work) -> _Done | _Remade:
        def ask() -> bytes:
            self._connection.send_bytes(_encode(work))
            return self._connection.recv_bytes()

        try:
            answer: _Failed | _Done | _Remade = _answer.decode(await run_sync(ask, abandon_on_cancel=True))
        except (EOFError, OSError) as error:
            raise StoreUnavailable("a process that folds has ended") from error
        if isinstance(answer, _Failed):
            raise StoreUnavailable(answer.why)
        return answer


async def build_in_shares(
    builder: Builder,
    settings: Settings,
    chosen: Sequence[Projection],
    stores: SharedStores,
    site: SqliteBuilds,
    *,
    until: Mapping[str, int] | None = None,
) -> None:
    """Build what the log holds now, or up to the events with the ids ``until``, if that is much and there is
    more than one core."""
    processes = min(len(os.sched_getaffinity(0)), MOST)
    if processes < 2:
        return
    ends = await heads(stores.event_store) if until is None else until
    at = {partition: number_of(position) for partition, position in builder.positions.items()}
    if sum(max(0, end - at.get(partition, 0)) for partition, end in ends.items()) < WORTH_EVENTS:
        return
    names = [each.container.name for each in chosen]
    places = [(each.container.name, site.place_of(each.container)) for each in chosen]
    async with AsyncExitStack() as stack:
        folders = []
        for number in range(processes):
            task = _Task(
                settings, names, Share(number, processes), site.path, places, bool(builder.positions)
            )
            folder = FoldingProcess(task)
            stack.callback(folder.close)
            folders.append(folder)
        await builder.catch_up_by(folders, until=ends)


async def heads(event_store: EventStore) -> Mapping[str, int]:
    """Return the id of the last event of each partition that has one."""
    ends = {
        partition: number_of(await event_store.head(partition))
        for partition in await event_store.partitions()
    }
    return {partition: end for partition, end in ends.items() if end}


def _fold(connection: Connection, task: _Task) -> None:
    """Run the process: answer until nobody asks any more."""
    configure_logs(task.settings.logging, {"service": task.settings.service.name})
    try:
        with without_collections():
            anyio.run(_answers, connection, task, backend_options={"use_uvloop": True})
    except (EOFError, ConnectionError, KeyboardInterrupt):
        pass
    except (Failure, CannotStart) as failure:
        connection.send_bytes(_encode(_Failed(str(failure))))


async def _answers(connection: Connection, task: _Task) -> None:
    chosen = [each for each in Projections.named_by(task.settings).all() if each.container.name in task.names]
    async with AsyncExitStack() as stack:
        stores = await open_beside(
            task.settings, [each.container for each in chosen], stack, as_they_are=True
        )
        built = SqliteBuilt(task.path, task.places)
        stack.callback(built.close)
        folder = Folder(
            chosen,
            stores.event_store,
            built=built,
            live=stores.documents,
            share=task.share,
            may_be_there=task.may_be_there,
        )
        while True:
            work = _work.decode(await run_sync(connection.recv_bytes))
            answer: _Done | _Remade
            if work.stretch is not None:
                answer = _Done(await folder.fold(work.stretch))
            else:
                answer = _Remade({name: list(each) for name, each in (await folder.remade()).items()})
            await run_sync(connection.send_bytes, _encode(answer))
