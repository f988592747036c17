"""Makes the rows of the index from stored events."""

from collections.abc import Iterable, Iterator, MutableMapping
from datetime import UTC, datetime

import msgspec

from application.archived_state import left_of
from application.audit.chain import Head, beginning_of, link_after, tenant_of
from application.audit.ports import Indexed, Noted, microseconds
from application.log_copy import Entry


class _Meta(msgspec.Struct, frozen=True):
    actor: str = ""
    correlation_id: str = ""
    causation_id: str | None = None


class _Sealed(msgspec.Struct, frozen=True):
    key: str = ""


class _State(msgspec.Struct, frozen=True):
    """What the index needs of the stored state. A payload of any version is skipped unread."""

    at: datetime
    meta: _Meta
    sealed: tuple[_Sealed, ...] = ()


_LONGEST = 500
"""The most characters of an indexed value: PostgreSQL's index accepts 2,704 bytes, up to four per
character."""

_NOTHING = _State(datetime(1970, 1, 1, tzinfo=UTC), _Meta())

_decoder = msgspec.json.Decoder(_State)


def noted(entry: Entry) -> Noted:
    """Return an event with its values for the index. A damaged event is indexed too, because it exists and is
    hashed."""
    if (left := left_of(entry.state)) is not None:
        return Noted(
            entry, left.actor, left.correlation_id, left.causation_id, microseconds(left.at), left.keys
        )
    try:
        state = _decoder.decode(entry.state)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        state = _NOTHING
    at = state.at if state.at.tzinfo is not None else state.at.replace(tzinfo=UTC)
    meta = state.meta
    keys = tuple({each.key for each in state.sealed})
    return Noted(
        entry,
        _askable(meta.actor),
        _askable(meta.correlation_id),
        None if meta.causation_id is None else _askable(meta.causation_id),
        microseconds(at),
        keys,
    )


def _askable(text: str) -> str:
    """Return a text as every store's index accepts it. What somebody has sent must not stop the others'
    trail."""
    return text[:_LONGEST].replace("\0", "\ufffd")


def sealed_in(events: Iterable[Noted]) -> set[tuple[str, str]]:
    """Return which keys seal values in which streams."""
    return {(key, event.entry.stream) for event in events for key in event.keys}


def rows_after(heads: MutableMapping[str, Head], events: Iterable[Noted]) -> Iterator[Indexed]:
    """Yield the rows of events in the log's order, and advance ``heads`` with them."""
    for event in events:
        entry = event.entry
        tenant = tenant_of(entry.stream)
        before = heads.get(tenant) or beginning_of(tenant)
        link = link_after(before, entry)
        latest = max(before.latest_at, event.at)
        heads[tenant] = Head(
            tenant=tenant, number=link.number, position=entry.id, chain=link.chain, latest_at=latest
        )
        category, _, aggregate_id = entry.stream[len(tenant) + 1 :].partition("/")
        yield Indexed(
            tenant=tenant,
            number=link.number,
            position=entry.id,
            category=category,
            aggregate_id=aggregate_id,
            version=entry.version,
            topic=entry.topic,
            actor=event.actor,
            correlation_id=event.correlation_id,
            causation_id=event.causation_id,
            at=event.at,
            latest_at=latest,
            leaf=link.leaf,
            chain=link.chain,
        )
