"""Finds lost personal keys: sealed values name them, the store does not have them, and no erasure is
recorded.

A value whose key is lost reads as erased, also in documents that are made again. Without this check, a
missing or outdated backup of the keys would look like an erasure of everybody.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from typing import NamedTuple

from anyio.to_thread import run_sync

from application.audit.ports import IndexReader, StoredLog
from application.audit.rows import noted
from application.log_copy import Entry
from application.privacy.ports import PersonalKeys
from domain.privacy import erasure_stream

MOST_EVENTS = 500
"""How many events a start reads at each end of a partition."""

MOST_KEYS = 500
"""How many keys a start reads from the index. Their IDs are random: this is enough to notice that one in a
hundred is lost."""

MOST_PARTITIONS = 10

_AT_ONCE = 500


class KeyName(NamedTuple):
    """A personal key as sealed values name it."""

    tenant: str
    id: str


async def lost_of(named: Collection[KeyName], keys: PersonalKeys | None, log: StoredLog) -> list[KeyName]:
    """Return the lost ones of some keys. If there are no ``keys`` at all, these are all that were not erased.

    The store of keys is read first, then the erasures without events, then the log. So a key that is erased
    meanwhile does not count as lost.

    Raises:
        StoreUnavailable: the keys or the log cannot be reached.
    """
    missing = sorted(await _not_there(named, keys))
    if missing and keys is not None:
        untold = {(each.tenant, each.key_id) for each in await run_sync(keys.untold)}
        missing = [each for each in missing if each not in untold]
    return [each for each in missing if await log.find(erasure_stream(*each), 1) is None]


async def _not_there(named: Collection[KeyName], keys: PersonalKeys | None) -> set[KeyName]:
    asked, missing = list(named), set(named)
    if keys is not None:
        for begin in range(0, len(asked), _AT_ONCE):
            some = asked[begin : begin + _AT_ONCE]
            there = await run_sync(keys.named, [each.id for each in some])
            missing.difference_update(each for each in some if each.id in there)
    return missing


async def sampled_keys(log: StoredLog, index: IndexReader) -> set[KeyName]:
    """Return a sample of the keys that sealed values name, which a start can read for a log of any length:
    those of the first and the newest events, which are missing if the keys are lost or from an older backup,
    and the first ones of the index.

    Raises:
        StoreUnavailable: the log cannot be reached.
    """
    found = {KeyName(*each) for each in await index.sealed_keys(MOST_KEYS)}
    for partition in (await log.partitions())[:MOST_PARTITIONS]:
        last = await log.last(partition)
        for begin in {0, max(0, last - MOST_EVENTS)}:
            async for entry in _stretch(log, partition, begin, min(last, begin + MOST_EVENTS)):
                found |= keys_in(entry)
    return found


async def _stretch(log: StoredLog, partition: str, after: int, until: int) -> AsyncIterator[Entry]:
    while after < until and (entries := await log.read(partition, after, until - after)):
        for entry in entries:
            yield entry
        after = entries[-1].id


def keys_in(entry: Entry) -> set[KeyName]:
    """Return the keys that an event's sealed values name."""
    return named_by(entry, noted(entry).keys)


def named_by(entry: Entry, keys: Iterable[str]) -> set[KeyName]:
    """Return the keys with these IDs, of the event's tenant."""
    tenant = entry.stream.partition("/")[0]
    return {KeyName(tenant, id) for id in keys if id}
