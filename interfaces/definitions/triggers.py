"""The triggers of tenants' own definitions and of the shipped ones."""

from collections.abc import Sequence

import msgspec
import structlog

from application.single_flight_cache import SingleFlightCache
from application.triggers import Triggered, Triggers
from interfaces.definitions.reader import BadDocument, read_stored_definition
from projections.ports import Container, Documents, Query

KEPT_SECONDS = 5.0
"""How long a tenant's triggers are cached: after this time, a new definition's triggers apply everywhere."""

MOST_TENANTS = 1_000
_PAGE = 200

log = structlog.get_logger(__name__)


class TenantTriggers:
    """Reads the triggers from a tenant's definitions, and caches them."""

    def __init__(self, shipped: Triggers, documents: Documents, definitions: Container) -> None:
        self._shipped = shipped
        self._documents = documents
        self._definitions = definitions
        self._own = SingleFlightCache(self._read, seconds=KEPT_SECONDS, most=MOST_TENANTS)

    async def for_message(self, tenant: str, message_type: str) -> Sequence[Triggered]:
        """Return the triggers for messages of a type of a tenant.

        Raises:
            StoreUnavailable: the documents are unavailable.
        """
        own = [each for each in await self._own.get(tenant) if each.trigger.message_type == message_type]
        return [*await self._shipped.for_message(tenant, message_type), *own]

    async def _read(self, tenant: str) -> Sequence[Triggered]:
        found: list[Triggered] = []
        after: tuple[str, str] | None = None
        while True:
            page = await self._documents.query(self._definitions, tenant, Query(after=after, limit=_PAGE))
            for document in page.documents:
                found += _triggers_in(document.body)
            if page.next_after is None:
                return found
            after = page.next_after


def _triggers_in(body: bytes) -> Sequence[Triggered]:
    document = msgspec.json.decode(body)
    if document["status"] != "active" or not document.get("triggers"):
        return ()
    try:
        definition = read_stored_definition(document)
    except BadDocument as bad:
        log.warning("triggers_left_out", definition=document["name"], reason=str(bad))
        return ()
    return [Triggered(definition.name, trigger) for trigger in definition.triggers]
