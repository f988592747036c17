"""Another master key: every personal key is wrapped anew, beside whoever seals and opens with both.

A key is opened and wrapped, and nothing that it has sealed changes. So it may be broken off at any moment,
and repeated: until all are wrapped by the new one, whoever has both opens them all.
"""

from collections.abc import Callable

import msgspec
from anyio.to_thread import run_sync

from application.privacy.ciphers import MasterKey
from application.privacy.ports import PersonalKeys, Rewrapped

AT_ONCE = 500


class Rotated(msgspec.Struct, frozen=True):
    """How many keys there are, and how many of them were wrapped anew."""

    keys: int
    rewrapped: int


async def rotate(
    keys: PersonalKeys, master: MasterKey, progress: Callable[[int], None] = lambda keys: None
) -> Rotated:
    """Wrap every key with the master key that is not wrapped with it.

    It goes over them until it finds none that is not, as then the former key is given away: a process that
    has that one alone may have made some meanwhile, and one that changed meanwhile was left as it was.

    Raises:
        StoreUnavailable: the keys cannot be reached.
        WrongMasterKey: one opens with none of the keys that are given.
    """
    rewrapped = 0
    while True:
        there, found, changed = await _pass(keys, master, progress)
        rewrapped += changed
        if not found:
            return Rotated(there, rewrapped)


async def _pass(
    keys: PersonalKeys, master: MasterKey, progress: Callable[[int], None]
) -> tuple[int, int, int]:
    """How many keys there are, how many of them were not wrapped with it, and how many of these are now."""
    there = found = changed = 0
    after = ""
    while page := await run_sync(keys.page, after, AT_ONCE):
        wanted = [
            Rewrapped(id, wrapped, master.wrap(id, master.unwrap(id, wrapped)))
            for id, wrapped in page
            if not master.has_wrapped(id, wrapped)
        ]
        if wanted:
            found += len(wanted)
            changed += await run_sync(keys.rewrap, wanted)
        there += len(page)
        after = page[-1][0]
        progress(len(page))
    return there, found, changed
