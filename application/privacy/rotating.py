"""Replaces the master key: every personal key is wrapped again, while services that have both keys may run.

The sealed values do not change. So this can be interrupted at any moment and repeated: until all keys are
wrapped with the new master key, a process that has both can unwrap them all.
"""

from collections.abc import Callable, Collection

import anyio
import msgspec
from anyio.to_thread import run_sync

from application.privacy.ciphers import MasterKey
from application.privacy.ports import PersonalKeys, Rewrapped

AT_ONCE = 500


class Rotated(msgspec.Struct, frozen=True):
    """How many keys there are, and how many of them were wrapped again.

    ``late`` counts keys that were wrapped with the former master key since the rotation began, and shows that
    a process still uses it as its present one. If it is 0, that proves nothing: perhaps no process needed a
    new personal key.
    """

    keys: int
    rewrapped: int
    late: int = 0


class _Pass(msgspec.Struct):
    """The counts of one pass over all keys: how many were ``found`` wrapped with another master key, and how
    many of them were ``rewrapped``."""

    keys: int = 0
    found: int = 0
    rewrapped: int = 0
    left: set[str] = msgspec.field(default_factory=set)
    """IDs among which are the keys that were not replaced, because they were changed or deleted meanwhile."""
    unknown: int = 0
    """How many of the keys that were found the previous pass had not left."""


async def rotate(
    keys: PersonalKeys,
    master: MasterKey,
    progress: Callable[[int], None] = lambda keys: None,
    *,
    watch_seconds: float = 0.0,
) -> Rotated:
    """Wrap every key with the present master key.

    Passes over all keys are repeated until one finds nothing to do: meanwhile, keys may have changed, and a
    process that uses the former master key may have created some. After ``watch_seconds`` there is another
    pass, to find such a process; if there is one, this does not go on racing with it.

    Raises:
        StoreUnavailable: the keys cannot be reached.
        WrongMasterKey: a key was wrapped with none of the given master keys.
    """
    seen = await _pass(keys, master, progress, ())
    rewrapped, late, is_watched = seen.rewrapped, 0, not watch_seconds
    while not is_watched or (seen.found and not late):
        if late or not seen.found:
            await anyio.sleep(watch_seconds)
            is_watched = True
        seen = await _pass(keys, master, progress, seen.left)
        rewrapped += seen.rewrapped
        late += seen.unknown
    return Rotated(seen.keys, rewrapped, late)


async def _pass(
    keys: PersonalKeys, master: MasterKey, progress: Callable[[int], None], left: Collection[str]
) -> _Pass:
    """Go over all keys once. ``left`` are the IDs that the previous pass has left."""
    seen, after = _Pass(), ""
    while page := await run_sync(keys.page, after, AT_ONCE):
        wanted = [
            Rewrapped(id, wrapped, master.wrap(id, master.unwrap(id, wrapped)))
            for id, wrapped in page
            if not master.has_wrapped(id, wrapped)
        ]
        if wanted:
            changed = await run_sync(keys.rewrap, wanted)
            seen.found += len(wanted)
            seen.rewrapped += changed
            seen.unknown += sum(each.id not in left for each in wanted)
            if changed < len(wanted):
                seen.left.update(each.id for each in wanted)
        seen.keys += len(page)
        after = page[-1][0]
        progress(len(page))
    return seen
