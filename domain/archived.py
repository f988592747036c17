"""What is left of an event whose payload was moved to an archive: see ADR 28."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from domain.errors import ThingArchived
from domain.event import Recorded


class Moved(msgspec.Struct, frozen=True, array_like=True):
    """How a thing came into its archive. It stands with the first of its events.

    ``documents`` are the ids of the documents that its events had made, by container, because the rest does
    not tell them. ``sha256`` is that of the archive's file. ``erased`` has the erasures after which these
    documents had been made again by then: for each key, the version of the last event of its erasure.
    """

    sha256: str
    events: int
    at: str
    by: str
    why: str
    documents: Mapping[str, Sequence[str]] = {}
    erased: Mapping[str, int] = {}


class ArchivedEvent(Recorded, frozen=True, kw_only=True):
    """An event in its place, without its payload: what it was, and which archive's file has it."""

    topic: str
    schema_version: int
    archive: str
    moved: Moved | None = None


def documents_left(container: str, events: Iterable[Recorded]) -> list[tuple[str, str]]:
    """Return the (tenant, id) of the documents of a container that archived events had made."""
    return [
        (recorded.meta.tenant, id)
        for recorded in events
        if isinstance(recorded, ArchivedEvent) and recorded.moved is not None
        for id in recorded.moved.documents.get(container, ())
    ]


def was_erased_before(events: Iterable[Recorded], key_id: str, version: int) -> bool:
    """Return whether a thing was archived after its documents had been made again by an event of a key's
    erasure."""
    return any(
        recorded.moved.erased.get(key_id, 0) >= version
        for recorded in events
        if isinstance(recorded, ArchivedEvent) and recorded.moved is not None
    )


def refuse_archived(events: Iterable[Recorded]) -> None:
    """Refuse to use a thing if one of its events is archived.

    Raises:
        ThingArchived: one is.
    """
    for recorded in events:
        if isinstance(recorded, ArchivedEvent):
            raise ThingArchived(
                f"it has ended, and its events were moved to the archive {recorded.archive}",
                {"archive": recorded.archive},
            )
