"""Checks that the personal keys exist which the log's sealed values name, except those with an erasure
event."""

from application.audit.findings import Finding, Report
from application.audit.ports import Noted, StoredLog
from application.privacy.losses import KeyName, lost_of, named_by
from application.privacy.ports import PersonalKeys
from domain.privacy import ErasureCarriedOut


class KeyCheck:
    """Collects the names of keys while the log is read. Keys are not unwrapped."""

    def __init__(self, log: StoredLog, keys: PersonalKeys | None) -> None:
        self._log = log
        self._keys = keys
        self._named: set[KeyName] = set()
        self._erased: set[str] = set()

    def take(self, event: Noted) -> None:
        """Take an event of the log."""
        if event.entry.topic == ErasureCarriedOut.TOPIC:
            self._erased.add(event.entry.stream.rpartition("/")[2])
        self._named |= named_by(event.entry, event.keys)

    async def end(self, report: Report) -> None:
        """Add the lost keys to the report, after the whole log has been read."""
        named = {each for each in self._named if each.id not in self._erased}
        for lost in await lost_of(named, self._keys, self._log):
            what = (
                f"the personal key {lost.id} is missing, and no erasure of it is recorded: the values that it"
                " has sealed read as erased"
            )
            report.add(Finding(kind="key_lost", what=what, tenant_id=lost.tenant))
