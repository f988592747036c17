"""Finds the streams of a deal. Its erasure also destroys the keys of values in them that belong to nobody
else.

Events that do not name their deal, such as a changed payload or the input of a task, have such values sealed
with a key whose subject is their stream.
"""

from collections.abc import AsyncIterator

import msgspec

from application.audit.ports import IndexReader, StoredLog, Wanted
from application.event_log import number_of
from application.log_copy import Entry

SUBJECT = "opportunity:"
"""The prefix of the subject of a deal."""

_OF_DEALS = ("approval.requested", "workflow.queued", "workflow.started")
_OF_WORKFLOWS = ("task.offered",)
_PAGE = 1000


class _Payload(msgspec.Struct, frozen=True):
    opportunity_id: str | None = None
    workflow_id: str | None = None


class _Stored(msgspec.Struct, frozen=True):
    data: _Payload = _Payload()


_stored = msgspec.json.Decoder(_Stored)


async def streams_of(subject: str, tenant: str, index: IndexReader, log: StoredLog) -> list[str]:
    """Return the streams of a subject that is a deal: its approvals and workflows, and the tasks of these
    workflows. Archived ones are not found, because they do not name their deal any more.
    """
    if not subject.startswith(SUBJECT):
        return []
    deal = subject.removeprefix(SUBJECT)
    found: dict[str, None] = {}
    async for entry, told in _begun(_OF_DEALS, tenant, index, log):
        if told.opportunity_id == deal:
            found[entry.stream] = None
    if not found:
        return []
    async for entry, told in _begun(_OF_WORKFLOWS, tenant, index, log):
        if f"{tenant}/workflow/{told.workflow_id}" in found:
            found[entry.stream] = None
    return list(found)


async def _begun(
    topics: tuple[str, ...], tenant: str, index: IndexReader, log: StoredLog
) -> AsyncIterator[tuple[Entry, _Payload]]:
    """Yield a tenant's events of some types, from the index, and from the log those that were not indexed
    yet."""
    partition = log.partition_of(tenant)
    reached = number_of(await index.reached(partition))
    for topic in topics:
        wanted, beyond = Wanted(tenant=tenant, topic=topic, before_position=reached + 1), 0
        while rows := await index.page(wanted, beyond=beyond, limit=_PAGE):
            async for part in log.at(partition, [row.position for row in rows]):
                for entry in part.entries.values():
                    yield entry, _payload_of(entry)
            beyond = rows[-1].position
    while entries := await log.read(partition, reached, _PAGE):
        for entry in entries:
            if entry.topic in topics and entry.stream.startswith(f"{tenant}/"):
                yield entry, _payload_of(entry)
        reached = entries[-1].id


def _payload_of(entry: Entry) -> _Payload:
    try:
        return _stored.decode(entry.state).data
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Payload()
