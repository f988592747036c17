"""``archive`` in a process that ends as by kill -9 at a given moment.

``python -m tests.chaos.killed_archive <moment> --out <folder> …``; a family gives way at a time.
"""

import os
import signal
import sys
from typing import Any

from application.archive import archive_file
from config import main
from infrastructure.cosmos import transactions
from infrastructure.cosmos.archive_log import CosmosArchiveLog
from infrastructure.postgres.archive_log import PostgresArchiveLog
from infrastructure.sqlite.archive_log import SqliteArchiveLog

LOGS: tuple[Any, ...] = (PostgresArchiveLog, SqliteArchiveLog, CosmosArchiveLog)


def die(*_: Any) -> None:
    """No cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_the_third_family() -> None:
    """Two have given way."""
    for log in LOGS:
        replace, seen = log.replace, [0]

        async def replace_or_die(
            self: Any, *arguments: Any, replace: Any = replace, seen: list[int] = seen
        ) -> Any:
            seen[0] += 1
            if seen[0] == 3:
                die()
            return await replace(self, *arguments)

        setattr(log, "replace", replace_or_die)  # noqa: B010


def die_after_a_batch() -> None:
    """Of one stream that has more events than a batch takes."""
    batch = CosmosArchiveLog._batch

    async def batch_and_die(self: Any, *arguments: Any) -> None:
        await batch(self, *arguments)
        die()

    vars(transactions)["MOST_OPERATIONS"] = 50
    setattr(CosmosArchiveLog, "_batch", batch_and_die)  # noqa: B010


if __name__ == "__main__":
    moment = sys.argv.pop(1)
    for log in LOGS:
        log.at_once = 1
    if moment == "written":
        vars(archive_file)["verify"] = die
    elif moment == "verified":
        vars(archive_file)["sha256_of"] = die
    elif moment == "half":
        die_at_the_third_family()
    elif moment == "batch":
        die_after_a_batch()
    else:
        vars(archive_file)["finish"] = die
    sys.argv.insert(1, "archive")
    main.main()
