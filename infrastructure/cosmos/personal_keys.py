"""Personal keys in Cosmos DB. All are in one partition of a container, so that one batch deletes a key and
notes it.

A subject has one key, because the id of its document is derived from the subject. The same batch that
destroys a key replaces the document that counts erasures. So every process sees the count change, and the
numbers have no gaps. The account's backups keep what was deleted for as long as they are kept.
"""

from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from application.privacy.ports import Erasure, Rewrapped
from domain.errors import StoreUnavailable
from domain.values import derived_id
from infrastructure.cosmos.containers import Policy, indexing_policy
from infrastructure.cosmos.items import PARTITION_KEY, Item, Operation
from infrastructure.cosmos.threaded import Refused, ThreadedContainer
from infrastructure.cosmos.transactions import MOST_OPERATIONS

POLICY: Policy = indexing_policy(("keyId", "number", "isTold"))

_PARTITION = "keys"
_COUNT_ID = "erasures"
_IDS_A_QUERY = 500
_DESTROYED_A_BATCH = (MOST_OPERATIONS - 1) // 2
"""Each key is deleted and noted, and the count is replaced."""

_MOST_RACES = 10


class CosmosPersonalKeys:
    """The keys that all instances share."""

    def __init__(self, container: ThreadedContainer) -> None:
        self._container = container

    def close(self) -> None:
        """Close all connections."""
        self._container.close()

    def named(self, ids: Collection[str]) -> Mapping[str, bytes]:
        """Return those of the keys that exist."""
        return {item["keyId"]: b64decode(item["wrapped"]) for item in self._named(ids)}

    def of(self, tenant: str, subject: str) -> tuple[str, bytes] | None:
        """Return the id and the wrapped key of a subject, if there is one."""
        item = self._container.read(_PARTITION, _id(tenant, subject))
        return None if item is None else _key(item)

    def put(self, tenant: str, subject: str, id: str, wrapped: bytes) -> tuple[str, bytes]:
        """Store a key unless the subject has got one meanwhile. Return the key that the subject then has.

        Raises:
            StoreUnavailable: the subject had a key, which was destroyed meanwhile.
        """
        if self._container.put_in_place_of(None, _item(id, tenant, subject, wrapped)):
            return id, wrapped
        found = self.of(tenant, subject)
        if found is None:
            raise StoreUnavailable("a personal key was destroyed while it was asked for")
        return found

    def add(self, keys: Sequence[tuple[str, str, str, bytes]]) -> None:
        """Store keys as :meth:`all` returns them, a batch at a time, except for subjects that have one."""
        for begin in range(0, len(keys), MOST_OPERATIONS):  # of some 500 bytes each
            some = keys[begin : begin + MOST_OPERATIONS]
            operations: list[Operation] = [("create", (_item(*key),), {}) for key in some]
            try:
                self._container.batch(_PARTITION, operations)
            except Refused:  # somebody has one, or the answer to a first try was lost
                for id, tenant, subject, wrapped in some:
                    self.put(tenant, subject, id, wrapped)

    def any(self) -> tuple[str, bytes] | None:
        """Return any one of the keys, if there is one."""
        found = self._container.query(_PARTITION, "FROM c WHERE IS_DEFINED(c.keyId)", {}, 1)
        return _key(found[0]) if found else None

    def page(self, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """Return up to ``limit`` keys whose id follows ``after``, ordered by id."""
        matching = "FROM c WHERE c.keyId > @after ORDER BY c.keyId"
        return [_key(item) for item in self._container.query(_PARTITION, matching, {"@after": after}, limit)]

    def rewrap(self, keys: Sequence[Rewrapped]) -> int:
        """Replace keys by their new wrapped form. Return how many were replaced."""
        wanted = {each.id: each for each in keys}
        done = 0
        for item in self._named(wanted):
            each = wanted[item["keyId"]]
            if b64decode(item["wrapped"]) == each.was:
                changed = item | {"wrapped": b64encode(each.wrapped).decode()}
                done += self._container.put_in_place_of(item, changed)
        return done

    def all(self) -> list[tuple[str, str, str, bytes]]:
        """Return every key with its owner: id, tenant, subject, and the wrapped key."""
        found = self._container.query(_PARTITION, "FROM c WHERE IS_DEFINED(c.keyId)", {})
        keys = [
            (item["keyId"], item["tenant"], item["subject"], b64decode(item["wrapped"])) for item in found
        ]
        return sorted(keys)

    def erasures(self) -> int:
        """Return how often a key was destroyed."""
        return _counted(self._container.read(_PARTITION, _COUNT_ID))

    def destroy(self, tenant: str, subjects: Sequence[str], reason: str | None, now: datetime) -> int:
        """Destroy the keys of subjects in their order and note it, a batch at a time. Return how many there
        were."""
        return self._destroyed([_id(tenant, each) for each in subjects], reason, now)

    def destroy_again(self, tenant: str, ids: Collection[str], now: datetime) -> int:
        """Destroy keys that a backup has brought back, in the same way. Return how many there were."""
        found = [item["id"] for item in self._named(ids) if item["tenant"] == tenant]
        return self._destroyed(found, None, now)

    def untold(self) -> Sequence[Erasure]:
        """Return the erasures that have no event in the log yet."""
        found = self._container.query(_PARTITION, "FROM c WHERE c.isTold = false ORDER BY c.number", {})
        return [
            Erasure(
                number=item["number"],
                tenant=item["tenant"],
                key_id=item["erased"],
                reason=item["reason"],
                erased_at=datetime.fromisoformat(item["erasedAt"]),
            )
            for item in found
        ]

    def note_told(self, number: int) -> None:
        """Note that an erasure now has its event in the log."""
        there = self._container.read(_PARTITION, _erasure_id(number))
        if there is not None:
            self._container.put_in_place_of(there, there | {"isTold": True, "reason": None})

    def _named(self, ids: Collection[str]) -> list[Item]:
        wanted, found = list(ids), list[Item]()
        for begin in range(0, len(wanted), _IDS_A_QUERY):
            given = {f"@id{at}": id for at, id in enumerate(wanted[begin : begin + _IDS_A_QUERY])}
            matching = f"FROM c WHERE c.keyId IN ({', '.join(given)})"
            found += self._container.query(_PARTITION, matching, given)
        return found

    def _destroyed(self, ids: Sequence[str], reason: str | None, now: datetime) -> int:
        """Return how many keys there were: fewer if the answer to a first try was lost, and the keys
        with it."""
        begins = range(0, len(ids), _DESTROYED_A_BATCH)
        return sum(self._destroyed_at_once(ids[at : at + _DESTROYED_A_BATCH], reason, now) for at in begins)

    def _destroyed_at_once(self, ids: Sequence[str], reason: str | None, now: datetime) -> int:
        for _ in range(_MOST_RACES):
            keys = [key for id in ids if (key := self._container.read(_PARTITION, id)) is not None]
            if not keys:
                return 0
            count = self._container.read(_PARTITION, _COUNT_ID)
            try:
                self._container.batch(_PARTITION, _destroying(keys, count, reason, now))
            except Refused:
                continue
            return len(keys)
        raise StoreUnavailable("the personal keys are too busy for one to be destroyed")


def _destroying(
    keys: Sequence[Item], count: Item | None, reason: str | None, now: datetime
) -> list[Operation]:
    before = _counted(count)
    counted: Item = {"id": _COUNT_ID, PARTITION_KEY: _PARTITION, "count": before + len(keys)}
    counting: Operation = ("create", (counted,), {})
    if count is not None:
        counting = ("replace", (_COUNT_ID, counted), {"if_match_etag": count["_etag"]})
    operations = [counting]
    for number, key in enumerate(keys, start=before + 1):
        operations += _destroying_one(key, number, reason, now)
    return operations


def _destroying_one(key: Item, number: int, reason: str | None, now: datetime) -> list[Operation]:
    note: Item = {
        "id": _erasure_id(number),
        PARTITION_KEY: _PARTITION,
        "number": number,
        "tenant": key["tenant"],
        "erased": key["keyId"],
        "reason": reason,
        "erasedAt": now.isoformat(),
        "isTold": False,
    }
    deleting: Operation = ("delete", (key["id"],), {"if_match_etag": key["_etag"]})
    return [deleting, ("create", (note,), {})]


def _item(id: str, tenant: str, subject: str, wrapped: bytes) -> Item:
    return {
        "id": _id(tenant, subject),
        PARTITION_KEY: _PARTITION,
        "keyId": id,
        "tenant": tenant,
        "subject": subject,
        "wrapped": b64encode(wrapped).decode(),
    }


def _counted(count: Item | None) -> int:
    return 0 if count is None else int(count["count"])


def _key(item: Item) -> tuple[str, bytes]:
    return item["keyId"], b64decode(item["wrapped"])


def _id(tenant: str, subject: str) -> str:
    return derived_id("personal key", tenant, subject)


def _erasure_id(number: int) -> str:
    return f"erasure-{number}"
