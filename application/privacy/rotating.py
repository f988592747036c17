"""Another master key: every personal key is wrapped anew, beside whoever seals and opens with both.

A key is opened and wrapped, and nothing that it has sealed changes. So it may be broken off at any moment,
and repeated: until all are wrapped by the new one, whoever has both opens them all.
"""

from collections.abc import Callable, Collection

import anyio
import msgspec
from anyio.to_thread import run_sync

from application.privacy.ciphers import MasterKey
from application.privacy.ports import PersonalKeys, Rewrapped

AT_ONCE = 500


class Rotated(msgspec.Struct, frozen=True):
    """How many keys there are, and how many of them were wrapped anew.

    ``late`` is how many of these, at least, were wrapped with a former key since it began: somebody still has
    that one as the present one. That there are none proves nothing: perhaps nobody needed a new key.
    """

    keys: int
    rewrapped: int
    late: int = 0


class _Pass(msgspec.Struct):
    """What was seen of all keys: those that were not wrapped with the present one, and became so or not."""

    keys: int = 0
    found: int = 0
    rewrapped: int = 0
    left: set[str] = msgspec.field(default_factory=set)
    """Ids among which there are some that changed meanwhile, or went, and so were left as they were."""
    unknown: int = 0
    """Of those found, how many were not left by the pass before."""


async def rotate(
    keys: PersonalKeys,
    master: MasterKey,
    progress: Callable[[int], None] = lambda keys: None,
    *,
    watch_seconds: float = 0.0,
) -> Rotated:
    """Wrap every key with the master key that is not wrapped with it.

    It goes over them until it finds none that is not: a process that has the former key as its present one
    may have made some meanwhile, and one that changed meanwhile was left as it was. After ``watch_seconds``
    it looks once more for such a process; where there is one, it does not race with it.

    Raises:
        StoreUnavailable: the keys cannot be reached.
        WrongMasterKey: one opens with none of the keys that are given.
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
    """Go over all keys once, where the pass before has ``left`` some."""
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
