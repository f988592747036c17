"""Archives that were begun and can no longer be read. The events that were replaced for them are nowhere
else."""

from pathlib import Path

import msgspec

from application.archived_state import archive_of
from application.audit.ports import StoredLog

_AT_ONCE = 2_000


class Damaged(msgspec.Struct, frozen=True):
    """Such a file, what is wrong with it, and how many events have been replaced for it."""

    file: Path
    what: str
    given_way: int

    @property
    def advice(self) -> str:
        """What to do about it."""
        if not self.given_way:
            return f"{self.what}. No events were removed for it: delete it, and its events are archived again"
        return (
            f"{self.what}. {self.given_way} events were removed from the log for it and exist nowhere else:"
            " replace it with an intact copy from a backup, and archive again. Do not delete it"
        )


async def given_way_for(log: StoredLog, name: str) -> int:
    """Return how many events of a log are in the archive of that name. This reads the whole log."""
    found = 0
    for partition in await log.partitions():
        after = 0
        while entries := await log.read(partition, after, _AT_ONCE):
            found += sum(archive_of(entry.stream, entry.state) == name for entry in entries)
            after = entries[-1].id
    return found
