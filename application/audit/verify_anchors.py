"""Checks the anchors themselves: their signatures, and that each follows from the previous one."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec

from application.audit.anchors import Anchor, PublicKey, bytes_in
from application.audit.findings import Finding, Kind, Report

_BROKEN_NAMED = 100

_anchor = msgspec.json.Decoder(Anchor)


class _Envelope(msgspec.Struct):
    """A message of the broker that contains an anchor, in case the messages were kept."""

    data: Anchor


_envelope = msgspec.json.Decoder(_Envelope)


def check_anchors(
    lines: Iterable[bytes], keys: Mapping[str, PublicKey], report: Report, *, tenant: str | None = None
) -> dict[str, list[Anchor]]:
    """Return the valid anchors of each tenant (or of only one) in order. Faults are added to the report.

    A line may be an anchor, or a message that contains one. An anchor may occur more than once.
    """
    by_tenant: dict[str, dict[int, Anchor]] = {}
    broken = 0
    for at, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        anchor = _read(line)
        if anchor is None:
            broken += 1
            if broken <= _BROKEN_NAMED:
                report.notes.append(f"line {at} of the anchors is not an anchor: cut off, or damaged")
        elif tenant in (None, anchor.tenant_id) and _is_signed(anchor, keys, report):
            _take(anchor, by_tenant.setdefault(anchor.tenant_id, {}), report)
    if broken > _BROKEN_NAMED:
        report.notes.append(f"{broken - _BROKEN_NAMED} more lines of the anchors are not anchors")
    return {each: _in_order(each, found, report) for each, found in by_tenant.items()}


def _read(line: bytes) -> Anchor | None:
    for decoder in (_anchor, _envelope):
        try:
            found = decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        return found.data if isinstance(found, _Envelope) else found
    return None


def _is_signed(anchor: Anchor, keys: Mapping[str, PublicKey], report: Report) -> bool:
    key = keys.get(anchor.key_id)
    if key is None:
        report.add(_of(anchor, "unknown_key", f"is signed by {anchor.key_id}, whose public key is not given"))
        return False
    if not key.verifies(anchor.text, bytes_in(anchor.signature)):
        report.add(_of(anchor, "bad_signature", "has a signature that does not match its content"))
        return False
    return True


def _take(anchor: Anchor, found: dict[int, Anchor], report: Report) -> None:
    known = found.setdefault(anchor.sequence, anchor)
    if known.id != anchor.id:
        report.add(
            _of(anchor, "anchor_altered", f"exists twice, with the heads {known.hash} and {anchor.hash}")
        )


def _in_order(tenant: str, found: dict[int, Anchor], report: Report) -> list[Anchor]:
    anchors = [found[sequence] for sequence in sorted(found)]
    if anchors and anchors[0].sequence > 1:
        report.notes.append(f"the anchors of {tenant} begin with number {anchors[0].sequence}")
    for before, anchor in pairwise(anchors):
        missing = anchor.sequence - before.sequence - 1
        if missing:
            which = f"{before.sequence + 1} to {anchor.sequence - 1}" if missing > 1 else before.sequence + 1
            report.add(
                Finding(
                    kind="anchor_missing",
                    what=f"anchor {which} is missing, between {before.anchored_at} and {anchor.anchored_at}",
                    tenant_id=tenant,
                    number=before.number + 1,
                )
            )
        elif anchor.previous != before.id:
            report.add(_of(anchor, "anchor_altered", f"names another predecessor than {before.sequence}"))
    for anchor in anchors:
        if not anchor.previous_held:
            report.add(
                _of(
                    anchor,
                    "anchor_contradicted",
                    "says that the previously anchored head was no longer on the chain: the log was changed"
                    " before that, or restored to an older state",
                )
            )
    return anchors


def _of(anchor: Anchor, kind: Kind, what: str) -> Finding:
    return Finding(
        kind=kind,
        what=f"the anchor {anchor.sequence} of {anchor.anchored_at} {what}",
        tenant_id=anchor.tenant_id,
        number=anchor.number,
    )
