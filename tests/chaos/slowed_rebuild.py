"""The command line with a rebuild that takes its time, or that ends as by kill -9 at a given moment.

``python -m tests.chaos.slowed_rebuild <moment> rebuild [projection…]``; a moment is ``never``, ``write-<n>``,
``indexed``, ``locked``, ``swapped``, ``tidying`` or ``mended-<n>``. With ``IN_SHARES`` in the environment the
log is long enough for several processes, with ``bereft-<n>`` one of these is killed after so many writes.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from config import main
from config.commands import folding_processes, rebuild
from infrastructure.cosmos.documents import CosmosDocuments
from infrastructure.sqlite.builds import SqliteBuilds
from projections.building import Builder

EVENTS_A_WRITE = 3
SECONDS_A_WRITE = 0.02


def die() -> None:
    """No cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)


def slow_down(moment: str) -> None:
    """Write a few events at a time; die after so many writes."""
    write, done = SqliteBuilds.write, 0

    async def slowly(self: SqliteBuilds, *arguments: Any) -> None:
        nonlocal done
        await write(self, *arguments)
        done += 1
        if moment == f"write-{done}":
            die()
        if moment == f"bereft-{done}":
            multiprocessing.active_children()[0].kill()
        await anyio.sleep(SECONDS_A_WRITE)

    def builder(*arguments: Any, **named: Any) -> Builder:
        return Builder(*arguments, **named, batch_size=EVENTS_A_WRITE)

    if "IN_SHARES" in os.environ:
        folding_processes.WORTH_EVENTS = 0
    SqliteBuilds.write = slowly  # type: ignore[method-assign, assignment]
    vars(rebuild)["Builder"] = builder


def die_at(moment: str) -> None:
    """At a step of the swap, or of the mending."""
    locked, index, tidy, replace = (
        SqliteBuilds.locked,
        SqliteBuilds.index,
        SqliteBuilds.tidy,
        CosmosDocuments.replace,
    )
    mended = 0

    async def index_and_die(self: SqliteBuilds) -> None:
        await index(self)
        die()

    @asynccontextmanager
    async def die_when_locked(self: SqliteBuilds) -> AsyncIterator[None]:
        async with locked(self):
            yield
            die()

    @asynccontextmanager
    async def die_when_swapped(self: SqliteBuilds) -> AsyncIterator[None]:
        async with locked(self):
            yield
        die()

    async def tidy_and_die(self: SqliteBuilds, recipe: str) -> None:
        vars(sys.modules[SqliteBuilds.__module__])["execute"] = lambda *_: die()
        await tidy(self, recipe)

    async def mend_and_die(self: CosmosDocuments, container: Any, replacements: Any) -> Any:
        nonlocal mended
        for key, replacement in replacements.items():
            await replace(self, container, {key: replacement})
            mended += 1
            if moment == f"mended-{mended}":
                die()
        return set()

    if moment == "indexed":
        SqliteBuilds.index = index_and_die  # type: ignore[method-assign]
    elif moment == "locked":
        SqliteBuilds.locked = die_when_locked  # type: ignore[method-assign]
    elif moment == "swapped":
        SqliteBuilds.locked = die_when_swapped  # type: ignore[method-assign]
    elif moment == "tidying":
        SqliteBuilds.tidy = tidy_and_die  # type: ignore[method-assign]
    elif moment.startswith("mended-"):
        CosmosDocuments.replace = mend_and_die  # type: ignore[method-assign]


if __name__ == "__main__":
    chosen = sys.argv.pop(1)
    slow_down(chosen)
    die_at(chosen)
    main.main()
