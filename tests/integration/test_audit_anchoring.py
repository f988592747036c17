"""Anchors go out whatever dies in between: none is left out, and none is made twice with another head."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from application.audit.anchors import ANCHORED
from application.ports import PublicMessage
from domain.errors import AnchorFileUnavailable, BrokerUnavailable
from domain.values import SYSTEM_TENANT
from infrastructure.anchor_file import NdjsonAnchorFile
from infrastructure.signatures import verifier_from
from tests.audit_trail import AuditedLog, audited_log, kinds, lines_of
from tests.builders import LEASE, OTHER_TENANT, TENANT

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AuditedLog]:
    """A log of two tenants, not anchored yet."""
    url = request.getfixturevalue("postgres_store_url") if request.param == "postgres" else None
    async with audited_log(tmp_path, url) as opened:
        opened.fill(each=2)
        yield opened


def anchors(log: AuditedLog, tenant: str = TENANT) -> list[tuple[int, int]]:
    """The sequence and number of those in the file, each once."""
    found = {
        (each["sequence"], each["number"]): None
        for each in lines_of(log.anchor_file)
        if each["tenantId"] == tenant
    }
    return list(found)


async def test_each_head_that_has_moved_is_anchored_and_the_others_are_not(log: AuditedLog) -> None:
    await log.anchor()
    assert (anchors(log), anchors(log, OTHER_TENANT)) == ([(1, 6)], [(1, 6)])
    log.append((f"{TENANT}/9", 2))
    await log.anchor()
    await log.anchor()
    assert (anchors(log), anchors(log, OTHER_TENANT)) == ([(1, 6), (2, 8)], [(1, 6)])
    assert (await log.verify())["anchors"] == 3


async def test_what_is_told_is_a_message_of_the_system_with_the_head_alone(log: AuditedLog) -> None:
    await log.anchor()
    first = lines_of(log.anchor_file)[0]
    message: PublicMessage = log.told.messages[0]
    assert (message.type, message.tenant, message.data) == (ANCHORED, SYSTEM_TENANT, first)
    assert set(first) == {
        *("tenantId", "sequence", "number", "position", "hash", "anchoredAt"),
        *("keyId", "previous", "previousHeld", "signature"),
    }


async def test_an_anchor_can_be_checked_by_hand(log: AuditedLog) -> None:
    """As the documentation says."""
    await log.anchor()
    anchor = lines_of(log.anchor_file)[0]
    text = "\n".join(
        [
            "workflow-orchestrator audit v1 anchor",
            *(str(anchor[name]) for name in ("tenantId", "sequence", "number", "position", "hash")),
            *(anchor[name] for name in ("anchoredAt", "keyId", "previous")),
            "held\n",
        ]
    )
    key = verifier_from(log.public_key.read_bytes())
    assert key.key_id == anchor["keyId"]
    assert key.verifies(text.encode(), bytes.fromhex(anchor["signature"]))


async def test_while_the_broker_is_away_the_same_anchors_wait(log: AuditedLog) -> None:
    """A new process, after the one before has died between the file and the broker."""
    await log.index()
    log.told.fails_after = 1
    for attempt in (1, 2):
        with pytest.raises(BrokerUnavailable):
            await log.anchoring().anchor(LEASE)
        log.clock.advance(minutes=5)
        log.append((f"{TENANT}/8", 1), first_version=attempt)
        await log.index()
    log.told.fails_after = None
    await log.anchoring().anchor(LEASE)
    assert anchors(log) == [(1, 6), (2, 8)]
    told = {(each.data["tenantId"], each.data["sequence"]): each.data for each in log.told.messages}
    filed = {(each["tenantId"], each["sequence"]): each for each in lines_of(log.anchor_file)}
    assert told == filed
    assert len({each.id for each in log.told.messages}) == len(told)
    assert (await log.verify())["sound"]


async def test_the_time_by_which_it_is_late_moves_on_with_each_success_alone(log: AuditedLog) -> None:
    await log.index()
    anchoring = log.anchoring()
    begun, log.told.fails_after = log.clock.now(), 0
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            await anchoring.run(LEASE)
        log.clock.advance(minutes=5)
        assert anchoring.due_at == begun + timedelta(minutes=2)
    log.told.fails_after = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anchoring.run, LEASE)
        while not log.told.messages:
            await anyio.sleep(0.01)
        anchoring.stop()
    assert anchoring.due_at == begun + timedelta(minutes=12)


async def test_one_process_writes_an_anchor_into_the_file_once_however_long_the_broker_is_away(
    log: AuditedLog,
) -> None:
    await log.index()
    log.told.fails_after = 0
    anchoring = log.anchoring()
    for _ in range(3):
        with pytest.raises(BrokerUnavailable):
            await anchoring.anchor(LEASE)
    log.told.fails_after = None
    await anchoring.anchor(LEASE)
    assert len(lines_of(log.anchor_file)) == 2


async def test_messages_go_out_once_though_the_file_cannot_be_written_and_the_file_gets_them_later(
    log: AuditedLog,
) -> None:
    await log.index()
    log.anchor_file.mkdir()
    anchoring = log.anchoring()
    for _ in range(2):
        with pytest.raises(AnchorFileUnavailable):
            await anchoring.anchor(LEASE)
        assert len(log.told.messages) == 2
    log.anchor_file.rmdir()
    await anchoring.anchor(LEASE)
    assert len(lines_of(log.anchor_file)) == len(log.told.messages) == 2


async def test_what_was_kept_goes_out_though_the_process_died_before_it_did(
    log: AuditedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.index()

    async def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(NdjsonAnchorFile, "append", die)
        with pytest.raises(KeyboardInterrupt):
            await log.anchoring().anchor(LEASE)
    assert not log.anchor_file.exists()
    log.append((f"{TENANT}/9", 1))
    await log.anchor()
    assert anchors(log) == [(1, 6), (2, 7)]
    assert (await log.verify())["sound"]


async def test_a_restored_log_is_anchored_on_and_the_break_is_told(log: AuditedLog) -> None:
    await log.anchor()
    log.sql("DELETE FROM EVENTS WHERE ID > 8")
    await log.follower().take_over(LEASE)
    log.append((f"{TENANT}/9", 1))
    await log.index()
    anchoring = log.anchoring()
    await anchoring.anchor(LEASE)
    assert anchoring.lost_heads == 2
    last = [each for each in lines_of(log.anchor_file) if each["tenantId"] == TENANT][-1]
    assert (last["sequence"], last["previousHeld"]) == (2, False)
    await anchoring.anchor(LEASE)
    assert anchoring.lost_heads == 2, "it is counted once"
    told = await log.verify()
    assert "anchor_contradicted" in kinds(told)
    assert "truncated" in kinds(told)


async def test_a_log_that_has_moved_to_other_positions_still_has_the_heads_that_were_anchored(
    log: AuditedLog,
) -> None:
    await log.anchor()
    before = {each["tenantId"]: each for each in lines_of(log.anchor_file)}
    log.append((f"{TENANT}/9", 1))
    log.sql("UPDATE EVENTS SET ID = ID + 1000")
    log.sql("UPDATE EVENTS SET ID = ID - 993")
    await log.made_index.clear()
    await log.index()
    anchoring = log.anchoring()
    await anchoring.anchor(LEASE)
    last = [each for each in lines_of(log.anchor_file) if each["tenantId"] == TENANT][-1]
    assert last["position"] > before[TENANT]["position"] + 1
    assert (last["sequence"], last["previousHeld"], anchoring.lost_heads) == (2, True, 0)
    assert (await log.verify())["sound"]


async def test_an_index_that_is_being_made_again_is_waited_for(log: AuditedLog) -> None:
    await log.anchor()
    await log.made_index.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(log.anchoring().anchor, LEASE)
        await anyio.sleep(0.15)
        assert anchors(log) == [(1, 6)]
        await log.index(batch_size=3)
    assert anchors(log) == [(1, 6)]
    assert (await log.verify())["sound"]


async def test_a_store_of_yesterday_learns_of_todays_anchors_from_the_file(log: AuditedLog) -> None:
    await log.anchor()
    if log.url.startswith("postgres"):
        log.index_sql("DELETE FROM audit_anchors")
    else:
        with closing(sqlite3.connect(log.folder / "events-followers.db")) as connection, connection:
            connection.execute("DELETE FROM audit_anchors")
    log.append((f"{TENANT}/9", 1))
    await log.index()
    anchoring = log.anchoring()
    await anchoring.take_over(LEASE)
    await anchoring.anchor(LEASE)
    assert anchors(log) == [(1, 6), (2, 7)]
    assert (await log.verify())["sound"]


async def test_a_thousand_tenants_are_anchored_in_one_go(log: AuditedLog) -> None:
    for number in range(1000):
        log.append((f"{UUID(int=number)}/1", 1))
    await log.index(batch_size=500)
    await log.anchoring().anchor(LEASE)
    assert len(lines_of(log.anchor_file)) == len(log.told.messages) == 1002
    assert (await log.verify())["anchors"] == 1002


async def test_a_line_that_was_cut_off_does_not_spoil_the_next(log: AuditedLog) -> None:
    await log.anchor()
    with log.anchor_file.open("ab") as file:
        file.write(b'{"tenantId":"7d0f')
    log.append((f"{TENANT}/9", 1))
    await log.anchor()
    told = await log.verify()
    assert (told["sound"], told["anchors"]) == (True, 3)
    assert "line 3 of the anchors is not an anchor" in told["notes"][0]


async def test_a_file_that_cannot_be_written_is_a_failure_that_passes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    file = NdjsonAnchorFile(tmp_path / "file" / "anchors.ndjson")
    async with audited_log(tmp_path / "log") as log:
        log.fill(each=1)
        await log.anchor()
        with pytest.raises(AnchorFileUnavailable):
            await file.append(await log.stores.anchors.last())
