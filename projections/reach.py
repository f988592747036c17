"""How many documents a batch of events may be about at once: some 8 MiB of them are held in memory.

How large documents are shows when they are there. So a follower begins with few, and takes more as long as
they are small: after three rounds as many as a batch of ordinary events is about.
"""

from collections.abc import Iterator, Sequence

from domain.event import Recorded

_Key = tuple[str, str]

Wanted = tuple[Recorded, tuple[str, ...]]
"""An event, and the ids of the documents that it reads."""

FIRST = 32
MOST_BYTES = 8 * 1024 * 1024
"""As they are stored: decoded they may take nine times that."""

_FASTER = 4


class Reach:
    """That of one follower over one container."""

    def __init__(self) -> None:
        self._most = FIRST

    def parts(self, wanted: Sequence[Wanted]) -> Iterator[tuple[list[Wanted], dict[_Key, None]]]:
        """The events of a batch in their order, so many that they are about as many documents as may be at
        once, with the keys of these. An event about more is a part of its own."""
        part: list[Wanted] = []
        keys: dict[_Key, None] = {}
        for recorded, ids in wanted:
            its = dict.fromkeys((recorded.meta.tenant, id) for id in ids)
            if part and len(keys) + len(its) > self._most and len(keys | its) > self._most:
                yield part, keys
                part, keys = [], {}
            part.append((recorded, ids))
            keys |= its
        if part:
            yield part, keys

    def note(self, sizes: Sequence[int]) -> None:
        """Documents that were there, or were made, had so many bytes each."""
        if sizes:
            fit = max(1, MOST_BYTES * len(sizes) // max(1, sum(sizes)))
            self._most = min(fit, _FASTER * max(self._most, FIRST))
