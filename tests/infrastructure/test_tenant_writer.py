"""Copies a tenant's events into segments of a log in Cosmos DB, whatever becomes of the answers."""

from typing import Any

import pytest

from application.audit.chain import Head, beginning_of, link_after
from application.event_log import EventLog
from application.log_copy import Entry
from domain.errors import StoreUnavailable
from infrastructure.cosmos.log_container import LogContainer
from infrastructure.cosmos.tenant_writer import TenantWriter
from tests.application.logs import NO_ROOM, UNVERIFIED, cosmos_settings, open_logs
from tests.builders import TENANT
from tests.cosmos import Account

pytestmark = [pytest.mark.cosmos, UNVERIFIED]

ENTRIES = [
    Entry(version, f"{TENANT}/job/a", version, "topic", f'{{"a": {version}}}'.encode())
    for version in range(1, 5)
]


def head_of(entries: list[Entry]) -> Head:
    head = beginning_of(TENANT)
    for each in entries:
        link = link_after(head, each)
        head = Head(tenant=TENANT, number=link.number, position=each.id, chain=link.chain)
    return head


def put(log: EventLog, monkeypatch: pytest.MonkeyPatch, *, lost: int) -> int:
    """Copy an event a batch, and repeat the call when an answer is lost; how many batches that took."""
    writer, batch, sent = TenantWriter(log.recorder._container, TENANT), LogContainer.batch, list[int]()  # type: ignore[attr-defined]

    def and_lost(self: LogContainer, *given: Any) -> Any:
        sent.append(1)
        done = batch(self, *given)
        if len(sent) == lost:
            raise StoreUnavailable("the connection broke")
        return done

    with monkeypatch.context() as patch:
        patch.setattr(LogContainer, "batch", and_lost)
        patch.setattr("infrastructure.cosmos.tenant_writer.MOST_OPERATIONS", 2)
        try:
            writer.put(ENTRIES)
        except StoreUnavailable:
            writer.put(ENTRIES)
    return len(sent)


@pytest.mark.parametrize("lost", range(1, 6))
def test_it_goes_on_where_an_answer_was_lost(
    cosmos: Account, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """The first batch of a new segment, among others: what comes then must not be numbered anew."""
    with open_logs(cosmos_settings(cosmos, segment_bytes=NO_ROOM)) as logs:
        log = logs.open()
        assert put(log, monkeypatch, lost=lost) > lost
        found = log.ours.select_after(TENANT, 0, 9)
        assert [(each.id, each.originator_version, each.state) for each in found] == [
            (entry.id, entry.version, entry.state) for entry in ENTRIES
        ]
        end, expected = log.recorder._container.end(TENANT).head, head_of(ENTRIES)  # type: ignore[attr-defined]
        assert (end.number, end.position, end.chain) == (expected.number, expected.position, expected.chain)
