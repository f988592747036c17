"""The personal keys that a process caches, until any key is destroyed.

Before a key is used, the store is asked (at most every few seconds) whether a key was destroyed anywhere. If
so, all cached keys are forgotten, and other caches of decrypted values too. So an erasure takes effect in
every process after that time, even if the process has not read the event of the erasure.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from threading import Lock
from time import monotonic
from typing import TypeVar

from application.privacy.ciphers import MasterKey, WrongMasterKey, new_id, new_key
from application.privacy.ports import PersonalKeys
from domain.errors import StoreUnavailable
from domain.privacy import kept_subject

_MOST_KEYS = 10_000

K = TypeVar("K")
V = TypeVar("V")


class Keyring:
    """Caches keys by ID and by subject. Any thread may use it. ``fresh_seconds`` is the time between two
    checks for erasures."""

    def __init__(
        self,
        keys: PersonalKeys,
        master: MasterKey,
        *,
        fresh_seconds: float,
        most: int = _MOST_KEYS,
    ) -> None:
        self._keys = keys
        self._master = master
        self._fresh_seconds = fresh_seconds
        self._most = most
        self._guard = Lock()
        self._by_id: OrderedDict[str, bytes | None] = OrderedDict()
        self._by_subject: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._looked_at = float("-inf")
        self._known = -1
        self.erasures = 0
        """How often keys were forgotten. When this changes, other caches of decrypted values must be
        emptied."""

    def tag(self, content: bytes) -> bytes:
        """Return the authentication code of a content, which only the master key can create."""
        return self._master.tag(content)

    def look(self) -> None:
        """Forget all keys if one was destroyed anywhere. The store is asked at most every ``fresh_seconds``.

        Raises:
            StoreUnavailable: the store cannot be asked.
        """
        began = monotonic()
        if began - self._looked_at < self._fresh_seconds:
            return
        there = self._keys.erasures()
        with self._guard:
            if there != self._known:
                self._by_id.clear()
                self._by_subject.clear()
                self._known = there
                self.erasures += 1
            self._looked_at = began

    def forget(self) -> None:
        """Forget all keys, because the store may not have them any more."""
        with self._guard:
            self._by_id.clear()
            self._by_subject.clear()
            self.erasures += 1

    def hurry(self) -> None:
        """Check for erasures at the next use, because the event of one was read."""
        self._looked_at = float("-inf")

    def key_of(self, tenant: str, subject: str) -> tuple[str, bytes]:
        """Return the ID and the key of a subject. A new key is stored before anything is sealed with it.

        Raises:
            StoreUnavailable: the store cannot be reached, or the key has another master key.
        """
        self.look()
        subject = kept_subject(subject)
        erasures, owner = self.erasures, (tenant, subject)
        with self._guard:
            id = self._by_subject.get(owner)
            key = None if id is None else self._by_id.get(id)
        if id is not None and key is not None:
            return id, key
        found = self._keys.of(tenant, subject)
        if found is None:
            fresh = new_id()
            found = self._keys.put(tenant, subject, fresh, self._master.wrap(fresh, new_key()))
        id, key = found[0], self._unwrapped(*found)
        with self._guard:
            if erasures == self.erasures:
                _remember(self._by_subject, owner, id, self._most)
                _remember(self._by_id, id, key, self._most)
        return id, key

    def named(self, ids: Collection[str]) -> Mapping[str, bytes]:
        """Return those of some keys that exist. All that are not cached are read at once.

        Raises:
            StoreUnavailable: the store cannot be reached, or a key has another master key.
        """
        self.look()
        erasures = self.erasures
        with self._guard:
            found = {id: self._by_id[id] for id in ids if id in self._by_id}
        if missing := [id for id in ids if id not in found]:
            there = self._keys.named(missing)
            for id in missing:
                found[id] = self._unwrapped(id, there[id]) if id in there else None
            with self._guard:
                if erasures == self.erasures:
                    for id in missing:
                        _remember(self._by_id, id, found[id], self._most)
        return {id: key for id, key in found.items() if key is not None}

    def _unwrapped(self, id: str, wrapped: bytes) -> bytes:
        try:
            return self._master.unwrap(id, wrapped)
        except WrongMasterKey as error:
            raise StoreUnavailable(str(error)) from error


def _remember(kept: OrderedDict[K, V], name: K, value: V, most: int) -> None:
    kept[name] = value
    if len(kept) > most:
        kept.popitem(last=False)
