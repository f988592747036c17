"""Checks an export line by line, with only public keys and, if given, anchors.

The chain is computed again from the stored bytes. If the result is not the hash in a line, that is a finding,
and the check continues from the line's hash: so one change is one finding, and unchanged events after it are
recognized. The readable form of an event is not part of the chain: it is compared with the stored bytes.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256

import msgspec

from application.audit.anchors import PublicKey, Signed, bytes_in
from application.audit.chain import FORMAT, genesis_of, leaf_of, linked
from application.audit.export_lines import LONGEST_NAME, Line, doubtful_members, named, read_line, state_of
from application.audit.findings import Anchored, Finding, Kind, Report
from application.audit.shown import Rereads, compared, place_of
from application.audit.verify_anchors import check_anchors
from application.log_copy import Entry
from application.privacy import proving

_signed = msgspec.json.Decoder(Signed)


_SHOWN = 100
"""How many characters of an unknown format are shown."""

_MOST_OUT_OF_PLACE = 1_000_000
"""How many numbers are remembered (about 100 MB). Of more moved events, some are also reported as missing."""


class NoExport(ValueError):
    """The file is not an export."""


def verify_export(
    lines: Iterable[bytes],
    keys: Mapping[str, PublicKey],
    anchors: Iterable[bytes] | None = None,
    *,
    rereads: Rereads = lambda entry, keys: None,
    progress: Callable[[int], None] = lambda bytes: None,
) -> Report:
    """Return what is found in an export. ``progress`` is called with the size of each line in bytes.

    Raises:
        NoExport: it does not begin with the header of an export that this release knows.
    """
    report = Report(told_alone=("exportedAt", "the number in position, beyond its order"))
    reading = iter(lines)
    first = next(reading, b"")
    header = read_line(first)
    if header is None or header.kind != "header":
        raise NoExport("it does not begin with the header of an export")
    if header.format != FORMAT:
        raise NoExport(f"its format is {header.format[:_SHOWN]!r}, and this release knows {FORMAT!r}")
    walk = _Walk(header, keys, rereads, report)
    walk.look_at_members(header, first)
    known = check_anchors(anchors or (), keys, report, tenant=header.tenant_id)
    if anchors is not None:
        report.warn_of_no_anchors([header.tenant_id], known)
    walk.pass_by(
        Anchored(header.tenant_id, known.get(header.tenant_id, ()), report, begins_after=walk.number)
    )
    text = next(reading, None)
    line = None if text is None else read_line(text)
    while text is not None:
        following = next(reading, None)
        after = None if following is None else read_line(following)
        walk.take(line, text, None if after is None else after.number)
        progress(len(text))
        text, line = following, after
    walk.end()
    return report


class _Walk:
    """The state of the check: the chain up to the last line."""

    def __init__(self, header: Line, keys: Mapping[str, PublicKey], rereads: Rereads, report: Report) -> None:
        self._rereads = rereads
        self._tenant = header.tenant_id
        self._keys = keys
        self._report = report
        self._chain = bytes_in(header.previous)
        self._stated = header.number
        self._has_ended = False
        self._anchored: Anchored | None = None
        self._early: set[int] = set()
        """Numbers of events that came too early."""
        self._owed: set[int] = set()
        """Numbers of events in whose place another one was."""
        self._position = 0
        """The position of the last event that was shown."""
        self.erased = 0
        self.number = header.begins - 1
        if self.number < 0 or len(self._chain) != sha256().digest_size:
            self._add("chain_broken", "the header does not say where in the chain it begins")
        elif self.number == 0 and self._chain != genesis_of(self._tenant):
            self._add("chain_broken", "the header's hash is not that with which this tenant's chain begins")
        elif self.number:
            report.notes.append(f"it begins with event {header.begins}: earlier events are not in it")

    def pass_by(self, anchored: Anchored) -> None:
        """Compare the chain with anchors."""
        self._anchored = anchored

    def take(self, line: Line | None, text: bytes, following: int | None) -> None:
        """Take the next line. ``following`` is the number in the line after it."""
        if line is None:
            what = f"the line after event {self.number} cannot be read: it is cut off, or damaged"
            self._add("unreadable", what)
            return
        self.look_at_members(line, text)
        if self._has_ended:
            self._add("inserted", "there is a line after the head, which must be the last one")
        elif line.kind == "head":
            self._check_head(line, text)
        elif line.kind in ("event", "leaf"):
            self._check_link(line, following)
        else:
            self._add("inserted", f"after event {self.number} there is a line of an unknown kind")

    def look_at_members(self, line: Line, text: bytes) -> None:
        """Add findings for members of a line that readers may read in another way than this check."""
        for what in doubtful_members(line, text):
            self._add("shown_otherwise", f"{named(line)} {what}", line)

    def end(self) -> None:
        """Complete the check after the last line."""
        if not self._has_ended:
            self._add(
                "truncated",
                f"it ends after event {self.number}, without a head; according to the header there were"
                f" {self._stated} events",
                number=self.number + 1,
            )
        for number in sorted(self._owed):
            self._add("deleted", f"event {number} is missing; another is in its place", number=number)
        if self._anchored is not None:
            self._anchored.end(self.number)
        if self.erased:
            self._report.notes.append(
                f"{self.erased} personal values are shown as erased: their sealed bytes were checked"
            )
        self._report.note_archives()
        self._report.heads[self._tenant] = self.number, self._chain.hex()

    def _check_link(self, line: Line, following: int | None) -> None:
        expected = self.number + 1
        if line.number != expected and self._is_out_of_place(line, expected, following):
            return
        leaf, is_sound = self._leaf_of(line)
        if is_sound:
            self._check_place(line)
        if self._chain and is_sound and linked(self._chain, leaf) != bytes_in(line.hash):
            self._add(
                "chain_broken",
                f"{named(line)} does not follow from event {self.number}: it or the hashes were altered, or"
                " events before it were removed or inserted and the others renumbered",
                line,
            )
        self._go_on(line.number, bytes_in(line.hash))

    def _is_out_of_place(self, line: Line, expected: int, following: int | None) -> bool:
        """Return whether a line with an unexpected number was moved or inserted. Otherwise the events before
        it are missing. The line after it decides: if it has the expected number, or the one after that, this
        line is in the wrong place.
        """
        takes_its_place = following == expected + 1
        if line.number > expected and not takes_its_place and following != expected:
            if missing := self._missing(expected, line.number - 1):
                first, last = missing
                which = f"{first}" if first == last else f"{first} to {last}"
                self._add("deleted", f"event {which} is missing before {named(line)}", number=first)
            self._chain = b""
            return False
        self._leaf_of(line)
        self._add("reordered", f"{named(line)} comes after event {self.number}: moved or inserted", line)
        self._owed.discard(line.number)
        if line.number > expected and len(self._early) < _MOST_OUT_OF_PLACE:
            self._early.add(line.number)
        if takes_its_place:
            if expected not in self._early and len(self._owed) < _MOST_OUT_OF_PLACE:
                self._owed.add(expected)
            self._go_on(expected, b"")
        return True

    def _missing(self, first: int, last: int) -> tuple[int, int] | None:
        """Return the first and last missing number of a range, without events that came too early at its
        ends."""
        while first in self._early:
            first += 1
        while last in self._early:
            last -= 1
        return (first, last) if first <= last else None

    def _go_on(self, number: int, chain: bytes) -> None:
        """Continue the chain at a number. Its hash is empty if it is not known there."""
        self.number, self._chain = number, chain
        self._report.events += 1
        if self._anchored is not None and chain:
            self._anchored.walk(number, chain)

    def _leaf_of(self, line: Line) -> tuple[bytes, bool]:
        """Return the line's leaf hash, and whether it is that of the line's content."""
        stated = bytes_in(line.leaf)
        if line.kind == "leaf":
            self._report.withheld += 1
            if line.archive is not None:
                self._report.add_archived(line.archive)
            return stated, True
        state = state_of(line)
        if state is None:
            self._add("deleted", f"{named(line)} was missing from the log at the time of the export", line)
            return stated, False
        if leaf_of(line.stream, line.version, line.topic, state) != stated:
            self._add("edited", f"{named(line)} was changed after it was hashed", line)
            return stated, False
        self._compare_reading(line, state)
        return stated, True

    def _compare_reading(self, line: Line, state: bytes) -> None:
        """Check that the readable form of an event is that of its stored bytes, as far as this release can
        tell."""
        if not (shown := bytes(line.event)):
            return
        entry = Entry(0, line.stream, line.version, line.topic, state)
        reread = self._rereads(entry, proving.read(line.keys))
        self.erased += 0 if reread is None else reread.erased
        found = compared(shown, reread)
        if found.differs:
            what = f"{named(line)} is shown differently from its stored bytes"
            self._add("shown_otherwise", what, line)
        elif found.unproven:
            self._report.add_unproven(f"{named(line)}: {', '.join(found.unproven)}")

    def _check_place(self, line: Line) -> None:
        """Check that a position is that of its event, and that positions increase along the chain."""
        if line.kind == "leaf" or line.position == "":
            return
        if (place := place_of(line)) is None:
            self._add("shown_otherwise", f"{named(line)} is shown at a position that is not its own", line)
            return
        if place <= self._position:
            what = f"{named(line)} is shown at a position that is not after that of the previous event"
            self._add("shown_otherwise", what, line)
        self._position = place

    def _check_head(self, line: Line, text: bytes) -> None:
        self._has_ended = True
        if line.tenant_id != self._tenant:
            self._add("chain_broken", "the head is that of another tenant")
        if line.number != self._stated:
            what = f"there were {self._stated} events according to the header, {line.number} to the head"
            self._add("shown_otherwise", what)
        if isinstance(line.position, int) and self._position > line.position:
            self._add("shown_otherwise", "an event is shown at a position beyond that of the head")
        if line.number > self.number:
            self._add(
                "truncated",
                f"events {self.number + 1} to {line.number} are missing at the end, according to the head",
                number=self.number + 1,
            )
        elif line.number < self.number:
            self._add(
                "inserted",
                f"there are events after number {line.number}, where the chain ends according to the head",
                number=line.number + 1,
            )
        elif bytes_in(line.hash) != self._chain:
            self._add(
                "chain_broken", f"the head's hash is not that of event {self.number}", number=self.number
            )
        self._check_signature(text)

    def _check_signature(self, text: bytes) -> None:
        try:
            signed = _signed.decode(text)
        except msgspec.MsgspecError:
            if self._keys:
                self._add("unsigned", "its head is not signed: anybody could have made it")
            else:
                self._report.notes.append("its head is not signed: anybody could have made it")
            return
        if not self._keys:
            self._report.notes.append(
                f"the signature of {signed.key_id} is not checked, and proves nothing: no public key is given"
            )
        elif (key := self._keys.get(signed.key_id)) is None:
            self._add("unknown_key", f"its head is signed by {signed.key_id}, whose public key is not given")
        elif not key.verifies(signed.text, bytes_in(signed.signature)):
            self._add("bad_signature", "the signature of its head does not match the head")

    def _add(self, kind: Kind, what: str, line: Line | None = None, *, number: int | None = None) -> None:
        is_event = line is not None and line.kind == "event"
        self._report.add(
            Finding(
                kind=kind,
                what=what,
                tenant_id=self._tenant,
                number=number if line is None else line.number,
                stream=line.stream[:LONGEST_NAME] if is_event and line is not None else None,
                version=line.version if is_event and line is not None else None,
            )
        )
