"""What is known of groups and people, within bounds."""

from collections import OrderedDict
from typing import NamedTuple

MOST_ENTRIES = 10_000
MOST_NAMES = 500_000
"""In all entries: some of them may be long."""


class Asked(NamedTuple):
    """What was asked: of a tenant's ``groups`` who is in one, or of its ``users`` which groups one is in."""

    tenant: str
    among: str
    name: str


class Known(NamedTuple):
    """An answer, from when it is, and when to ask again."""

    names: frozenset[str]
    since: float
    again_at: float


class KnownNames:
    """The answers that were of use last."""

    def __init__(self, *, most_entries: int = MOST_ENTRIES, most_names: int = MOST_NAMES) -> None:
        self._most_entries = most_entries
        self._most_names = most_names
        self._entries: OrderedDict[Asked, Known] = OrderedDict()
        self._names = 0

    def get(self, asked: Asked) -> Known | None:
        """The answer, if it is still there."""
        known = self._entries.get(asked)
        if known is not None:
            self._entries.move_to_end(asked)
        return known

    def keep(self, asked: Asked, known: Known) -> None:
        """Keep an answer instead of the one before; those that were of no use for longest give way."""
        self._drop(asked)
        self._entries[asked] = known
        self._names += len(known.names)
        while len(self._entries) > self._most_entries or self._names > self._most_names:
            self._drop(next(iter(self._entries)))

    def _drop(self, asked: Asked) -> None:
        known = self._entries.pop(asked, None)
        if known is not None:
            self._names -= len(known.names)
