"""The ports of sealing and erasing."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was destroyed, and that has no event in the log yet."""

    number: int
    tenant: str
    key_id: str
    reason: str | None
    erased_at: datetime


class Rewrapped(msgspec.Struct, frozen=True):
    """The id of a key, its present wrapped form, and the new one."""

    id: str
    was: bytes
    wrapped: bytes


class PersonalKeys(Protocol):
    """The wrapped keys beside the log. Any thread may use this. Each call is a transaction.

    All raise StoreUnavailable when the store is away. That is never taken for an erased key.
    """

    def named(self, ids: Collection[str]) -> Mapping[str, bytes]:
        """Return those of the keys that exist."""
        ...

    def of(self, tenant: str, subject: str) -> tuple[str, bytes] | None:
        """Return the id and the wrapped key of a subject, if there is one."""
        ...

    def put(self, tenant: str, subject: str, id: str, wrapped: bytes) -> tuple[str, bytes]:
        """Store a key unless the subject has got one meanwhile. Return the key that the subject then has."""
        ...

    def any(self) -> tuple[str, bytes] | None:
        """Return any one of the keys, to try the master key on."""
        ...

    def page(self, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """Return up to ``limit`` keys whose id follows ``after``, ordered by id."""
        ...

    def rewrap(self, keys: Sequence[Rewrapped]) -> int:
        """Replace keys by their new wrapped form. Return how many were replaced. A key that has changed
        meanwhile, or was destroyed, stays so."""
        ...

    def erasures(self) -> int:
        """Return how often a key was destroyed. If the number changes, cached keys must be forgotten."""
        ...

    def destroy(self, tenant: str, subjects: Sequence[str], reason: str | None, now: datetime) -> int:
        """Destroy the keys of subjects and note it, in one transaction. Return how many there were. A store
        with bounded transactions takes several, in the order of the subjects."""
        ...

    def destroy_again(self, tenant: str, ids: Collection[str], now: datetime) -> int:
        """Destroy keys that a backup has brought back, in the same way. Return how many there were."""
        ...

    def untold(self) -> Sequence[Erasure]:
        """Return the erasures that have no event in the log yet."""
        ...

    def note_told(self, number: int) -> None:
        """Note that an erasure now has its event in the log."""
        ...
