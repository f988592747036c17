"""``archive`` in a process that ends as by kill -9 at a given moment.

``python -m tests.chaos.killed_archive <moment> --out <folder> …``; a family gives way at a time.
"""

import os
import signal
import sys
from typing import Any

from application.archive import archive_file, archiving
from config import main
from infrastructure.postgres.archive_log import PostgresArchiveLog
from infrastructure.sqlite.archive_log import SqliteArchiveLog


def die(*_: Any) -> None:
    """No cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_the_third_family() -> None:
    """Two have given way."""
    for log in (PostgresArchiveLog, SqliteArchiveLog):
        replace, seen = log.replace, [0]

        async def replace_or_die(
            self: Any, *arguments: Any, replace: Any = replace, seen: list[int] = seen
        ) -> Any:
            seen[0] += 1
            if seen[0] == 3:
                die()
            return await replace(self, *arguments)

        setattr(log, "replace", replace_or_die)  # noqa: B010


if __name__ == "__main__":
    moment = sys.argv.pop(1)
    vars(archiving)["_AT_ONCE"] = 1
    if moment == "written":
        vars(archive_file)["verify"] = die
    elif moment == "verified":
        vars(archive_file)["sha256_of"] = die
    elif moment == "half":
        die_at_the_third_family()
    else:
        vars(archive_file)["finish"] = die
    sys.argv.insert(1, "archive")
    main.main()
