"""``copy-log`` in a process that ends as by kill -9 at a given moment.

``python -m tests.chaos.killed_copy <moment> --from <url> --to <url>``
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from config import main
from config.commands import copy_log
from infrastructure.cosmos.log_container import LogContainer
from infrastructure.cosmos.log_writer import CosmosLogWriter
from infrastructure.postgres.log_writer import PostgresLogWriter
from infrastructure.sqlite import log_writer
from infrastructure.sqlite.log_writer import SqliteLogWriter


def die(*_: Any) -> None:
    """No cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_during(doing: str) -> None:
    """When half of a pass over the events has been shown."""

    @contextmanager
    def bar(label: str, events: int) -> Iterator[Callable[[int], None]]:
        seen = 0

        def update(count: int) -> None:
            nonlocal seen
            seen += count
            if label == doing and seen > events / 2:
                die()

        yield update

    vars(copy_log)["bar"] = bar


def die_when_finished() -> None:
    """Before the commit."""
    for writer in (PostgresLogWriter, SqliteLogWriter, CosmosLogWriter):
        finish = writer.finish

        async def finish_and_die(self: Any, finish: Any = finish) -> None:
            await finish(self)
            die()

        writer.finish = finish_and_die  # type: ignore[method-assign]


def die_while_storing() -> None:
    """When Cosmos DB has taken some transactions."""
    store, left = LogContainer.store, 4

    def store_and_count(self: Any, *what: Any, **how: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            die()
        return store(self, *what, **how)

    LogContainer.store = store_and_count  # type: ignore[method-assign]


def die_between_the_commits() -> None:
    """Of SQLite's two files."""
    run_sync = vars(log_writer)["run_sync"]
    commits = 0

    async def run_and_count(work: Any, *arguments: Any) -> Any:
        nonlocal commits
        commits += arguments == ("COMMIT",)
        if commits == 2:
            die()
        return await run_sync(work, *arguments)

    vars(log_writer)["run_sync"] = run_and_count


if __name__ == "__main__":
    moment = sys.argv.pop(1)
    if moment in ("copying", "verifying"):
        die_during(moment)
    elif moment == "finished":
        die_when_finished()
    elif moment == "storing":
        die_while_storing()
    elif moment == "between the commits":
        die_between_the_commits()
    else:
        vars(copy_log)["tell"] = die
    sys.argv.insert(1, "copy-log")
    main.main()
