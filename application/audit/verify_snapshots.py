"""Compares snapshots with the states of their streams, while the log is read for the other checks.

Snapshots are not part of the chain: someone who can write to their store can replace one, and commands would
be decided on it. Snapshots that this release would not use are harmless, and only counted.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from application.archived_state import is_archived
from application.audit.chain import leaf_of_entry, tenant_of
from application.audit.findings import Finding, Report
from application.log_copy import Entry
from application.pasts import Evolve, Past
from application.snapshot_bytes import Unreadable, from_bytes
from application.snapshots import Snapshot, SnapshotContent, SnapshotStore, recipe
from domain import approval, backfill, concurrency, delegation, job, published_definition, task, workflow
from domain.event import Recorded
from domain.values import category_of

FOLDS: Mapping[str, Evolve] = {
    "approval": approval.evolve,
    "backfill": backfill.evolve,
    "backfills": backfill.evolve_admissions,
    "concurrency": concurrency.evolve,
    "definition": published_definition.evolve,
    "delegations": delegation.evolve,
    "job": job.evolve,
    "task": task.evolve,
    "workflow": workflow.evolve,
}
"""The fold of the streams of each category."""

_UNUSED = {
    "release": "are of another release, which this one does not use: they were not compared",
    "log": "end with an event that the log does not have: they are not used",
    "untold": "are of streams that cannot be folded from the log: they were not compared",
}


class SnapshotCheck:
    """Compares the snapshots of a log while its events are read."""

    def __init__(self, store: SnapshotStore, reads: Callable[[Entry], Recorded]) -> None:
        self._store = store
        self._reads = reads
        self._wanted: dict[str, int] = {}
        self._pasts: dict[str, Past] = {}
        self._counted: Counter[str] = Counter()
        self._found: list[tuple[Snapshot, str]] = []

    def begin(self) -> int:
        """Read which snapshots there are. Return their number.

        Raises:
            Exception: any error of the store.
        """
        self._wanted = dict(self._store.versions())
        return len(self._wanted)

    def take(self, entry: Entry) -> None:
        """Take the next event in the order of the log.

        Raises:
            StoreUnavailable: the keys of sealed values cannot be read.
        """
        wanted = self._wanted.get(entry.stream)
        if wanted is None:
            return
        past = self._pasts.get(entry.stream) or Past(events=None)
        evolve = FOLDS.get(category_of(entry.stream))
        if evolve is None or entry.version != past.version + 1 or is_archived(entry.state):
            self._done(entry.stream, "untold")
            return
        try:
            past = past.then((self._reads(entry),), evolve)
        except (LookupError, ValueError, TypeError, AttributeError):
            self._done(entry.stream, "untold")
            return
        self._pasts[entry.stream] = past
        if past.version == wanted:
            self._compare(entry, past)

    def end(self, report: Report) -> None:
        """Add the findings to the report, after the whole log has been read."""
        for stream in list(self._wanted):
            self._done(stream, "log")
        for snapshot, what in self._found:
            report.add(
                Finding(
                    kind="snapshot_altered",
                    what=f"the snapshot of {snapshot.stream} at version {snapshot.version} {what}: it was"
                    " altered, or made before an erasure. Delete it: docs/audit.md, Snapshots",
                    tenant_id=tenant_of(snapshot.stream),
                    stream=snapshot.stream,
                    version=snapshot.version,
                )
            )
        if compared := self._counted.pop("compared", 0):
            report.notes.append(f"{compared} snapshots were compared with the states of their streams")
        for why, number in sorted(self._counted.items()):
            report.notes.append(f"{number} snapshots {_UNUSED[why]}")

    def _compare(self, entry: Entry, past: Past) -> None:
        snapshot = self._store.get(entry.stream)
        if snapshot is None:
            self._done(entry.stream)
        elif snapshot.version > past.version:
            self._wanted[entry.stream] = snapshot.version
        elif snapshot.recipe != recipe():
            self._done(entry.stream, "release")
        elif snapshot.version < past.version or snapshot.leaf != leaf_of_entry(entry):
            self._done(entry.stream, "log")
        else:
            self._done(entry.stream, "compared")
            if (what := _difference(snapshot, past)) is not None:
                self._found.append((snapshot, what))

    def _done(self, stream: str, why: str | None = None) -> None:
        self._wanted.pop(stream, None)
        self._pasts.pop(stream, None)
        if why is not None:
            self._counted[why] += 1


def _difference(snapshot: Snapshot, past: Past) -> str | None:
    kept: Any
    try:
        kept = from_bytes(snapshot.body)
    except Unreadable as error:
        return f"cannot be read ({error})"
    folded = SnapshotContent(past.version, past.state, past.commands, past.digests, past.correlation_id)
    try:
        is_right = SnapshotContent(snapshot.version, *kept) == folded
    except (TypeError, ValueError):
        is_right = False
    return None if is_right else "is not the state of the stream at that version"
