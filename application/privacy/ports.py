"""What sealing and erasing need of the world, as protocols."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was destroyed, and that the log is still to tell of."""

    number: int
    tenant: str
    key_id: str
    reason: str | None
    erased_at: datetime


class Rewrapped(msgspec.Struct, frozen=True):
    """A key of an id, as it is wrapped, and as it is to be."""

    id: str
    was: bytes
    wrapped: bytes


class PersonalKeys(Protocol):
    """The keys beside the log, wrapped. Any thread may use it; each call is a transaction.

    All raise StoreUnavailable when the store is away: that is never taken for an erased key.
    """

    def named(self, ids: Collection[str]) -> Mapping[str, bytes]:
        """Those of some keys that there are."""
        ...

    def of(self, tenant: str, subject: str) -> tuple[str, bytes] | None:
        """A subject's key: its id, and itself."""
        ...

    def put(self, tenant: str, subject: str, id: str, wrapped: bytes) -> tuple[str, bytes]:
        """Keep a key, unless the subject has one meanwhile; the one that it has."""
        ...

    def any(self) -> tuple[str, bytes] | None:
        """One of all keys, to try the master key on."""
        ...

    def page(self, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """Up to ``limit`` keys with an id after one, in the order of the ids."""
        ...

    def rewrap(self, keys: Sequence[Rewrapped]) -> int:
        """Put keys in the place of what they were wrapped as; how many. One that is not as it was, or was
        destroyed, stays so."""
        ...

    def erasures(self) -> int:
        """How often a key was destroyed: another number means that cached keys are to be forgotten."""
        ...

    def destroy(self, tenant: str, subjects: Sequence[str], reason: str | None, now: datetime) -> int:
        """Destroy the keys of subjects and note it, all at once; how many there were. A store whose
        transactions are bounded takes several, in the order of the subjects.
        """
        ...

    def destroy_again(self, tenant: str, ids: Collection[str], now: datetime) -> int:
        """The same for keys that a backup has brought back; how many."""
        ...

    def untold(self) -> Sequence[Erasure]:
        """Erasures that the log does not tell of yet."""
        ...

    def note_told(self, number: int) -> None:
        """The log tells of it."""
        ...
