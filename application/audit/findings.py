"""The findings of a verification, and the comparison of a chain with its anchors."""

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from application.audit.anchors import Anchor

Kind = Literal[
    "edited",
    "deleted",
    "inserted",
    "reordered",
    "truncated",
    "chain_broken",
    "index_altered",
    "anchor_contradicted",
    "anchor_missing",
    "anchor_altered",
    "bad_signature",
    "unknown_key",
    "unsigned",
    "unreadable",
    "shown_otherwise",
    "snapshot_altered",
    "key_lost",
]

MOST_NAMED = 1_000
"""How many findings are listed; the others are only counted."""

_TENANTS_NAMED = 20
_ARCHIVES_NAMED = 10_000


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Something that is not as it was when it was stored."""

    kind: Kind
    what: str
    tenant_id: str | None = None
    number: int | None = None
    stream: str | None = None
    version: int | None = None
    position: int | None = None


class Report:
    """Everything that was found. ``notes`` are not faults, but say what could not be checked, and why."""

    def __init__(self, told_alone: tuple[str, ...] = ()) -> None:
        self.told_alone = told_alone
        """Members of an export that are never proved."""
        self.findings: list[Finding] = []
        self.more = 0
        self.notes: list[str] = []
        self.warnings: list[str] = []
        """Circumstances in which the verification proves little."""
        self.unproven: list[str] = []
        """Values that are shown but are not proved by a hash or signature."""
        self.more_unproven = 0
        self.events = 0
        self.withheld = 0
        """The number of events of which the export has only the hash."""
        self.archived: dict[str, int] = {}
        """The number of archived events by file. Only their hashes were checked."""
        self.anchors = 0
        self.heads: dict[str, tuple[int, str]] = {}
        """The computed end of each tenant's chain: number and hash."""

    @property
    def is_sound(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def add_unproven(self, what: str) -> None:
        """Add a value of an event that is shown without a proof."""
        if len(self.unproven) < MOST_NAMED:
            self.unproven.append(what)
        else:
            self.more_unproven += 1

    def warn_of_no_anchors(self, tenants: Collection[str], anchored: Collection[str]) -> None:
        """Warn of the tenants whose chains could not be compared with an anchor."""
        without = sorted(set(tenants) - set(anchored))
        if not anchored:
            self.warnings.append("NOTHING WAS COMPARED WITH AN ANCHOR: no usable anchor was given")
        elif without:
            more = f" and {len(without) - _TENANTS_NAMED} more" if without[_TENANTS_NAMED:] else ""
            named = ", ".join(without[:_TENANTS_NAMED])
            self.warnings.append(f"there is no anchor to compare with for {named}{more}")

    def add_archived(self, file: str) -> None:
        """Count an event that is in an archive, for up to ``_ARCHIVES_NAMED`` archives."""
        if file in self.archived or len(self.archived) < _ARCHIVES_NAMED:
            self.archived[file] = self.archived.get(file, 0) + 1

    def note_archives(self) -> None:
        """Add a note for each archive that should be verified too."""
        for file, events in sorted(self.archived.items()):
            self.notes.append(
                f"{events} events are in the archive {file}, and only their hashes here: verify it with"
                " --export"
            )

    def add(self, finding: Finding) -> None:
        """Add a finding."""
        if len(self.findings) < MOST_NAMED:
            self.findings.append(finding)
        else:
            self.more += 1


class Anchored:
    """Compares a tenant's chain with its anchors, event by event."""

    def __init__(
        self, tenant: str, anchors: Sequence[Anchor], report: Report, *, begins_after: int = 0
    ) -> None:
        self._tenant = tenant
        self._anchors = sorted(
            (anchor for anchor in anchors if anchor.number > begins_after), key=lambda each: each.number
        )
        self._next = 0
        self._report = report
        self._begins_after = begins_after
        self._held: list[Anchor] = []
        self._contradicted: list[Anchor] = []

    def walk(self, number: int, chain: bytes) -> None:
        """Compare the chain at a number."""
        while self._next < len(self._anchors) and self._anchors[self._next].number <= number:
            anchor = self._anchors[self._next]
            self._next += 1
            if anchor.number < number:
                continue
            if anchor.hash == chain.hex():
                self._held.append(anchor)
                self._report.anchors += 1
            else:
                self._contradicted.append(anchor)

    def end(self, number: int) -> None:
        """Add the findings to the report. The chain has ended at a number."""
        if self._contradicted:
            first = self._contradicted[0]
            begin = self._confirmed_before(first) + 1
            more = f", and {len(self._contradicted) - 1} later ones" if self._contradicted[1:] else ""
            self._report.add(
                Finding(
                    kind="anchor_contradicted",
                    what=f"the anchor {first.sequence} of {first.anchored_at} says that the chain after event"
                    f" {first.number} is {first.hash}{more}; it is not. Of the events {begin} to"
                    f" {first.number} some were edited, deleted, inserted or reordered, and the hashes were"
                    " made to fit",
                    tenant_id=self._tenant,
                    number=begin,
                )
            )
        beyond = [anchor for anchor in self._anchors if anchor.number > number]
        if beyond:
            last = beyond[-1]
            confirmed = self._confirmed_before(last)
            gone = f"{last.number - number} of the events after event {confirmed} are missing"
            self._report.add(
                Finding(
                    kind="truncated",
                    what=f"it ends after event {number}; the anchor {last.sequence} of {last.anchored_at}"
                    f" says that there were {last.number}: {gone}, at the end or before",
                    tenant_id=self._tenant,
                    number=confirmed + 1,
                )
            )

    def _confirmed_before(self, anchor: Anchor) -> int:
        """Return the last event that an earlier anchor confirms. Later anchors do not count: they may have
        been made after the log was changed or restored.
        """
        confirmed = (
            held.number
            for held in self._held
            if held.sequence < anchor.sequence and held.number < anchor.number
        )
        return max(confirmed, default=self._begins_after)
