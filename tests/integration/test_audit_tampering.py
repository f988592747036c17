"""Whatever somebody does to the log with a tool of the database is found, and named."""

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from application.audit.chain import genesis_of, leaf_of_entry, linked
from application.privacy.ciphers import MasterKey, new_key
from application.privacy.keyring import Keyring
from application.privacy.sealing import PersonalNames, Sealing
from infrastructure.sqlite.personal_keys import SqlitePersonalKeys
from tests.audit_trail import AuditedLog, audited_log, keys_beside_log, kinds, lines_of, stream, write_lines
from tests.builders import OTHER_TENANT, TENANT

pytestmark = pytest.mark.anyio

EDITED, OTHER = stream(TENANT, 1), stream(TENANT, 2)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AuditedLog]:
    """A log of 72 events of two tenants, indexed, and anchored half-way and at the end."""
    url = request.getfixturevalue("postgres_store_url") if request.param == "postgres" else None
    async with audited_log(tmp_path, url) as opened:
        opened.fill(each=6)
        await opened.anchor()
        for version in range(7, 13):
            for tenant in (TENANT, OTHER_TENANT):
                for number in range(3):
                    opened.append((f"{tenant}/{number}", 1), first_version=version)
        await opened.anchor()
        yield opened


def the_only_one(told: dict[str, Any], kind: str) -> dict[str, Any]:
    """The finding of a kind."""
    found = [finding for finding in told["findings"] if finding["kind"] == kind]
    assert len(found) == 1, told["findings"]
    return dict(found[0])


async def test_what_nobody_has_touched_is_sound(log: AuditedLog) -> None:
    told = await log.verify()
    assert (told["sound"], told["events"], told["anchors"], told["notes"]) == (True, 72, 4, [])
    heads = {head["tenantId"]: head for head in told["heads"]}
    assert heads[TENANT]["number"] == 36
    assert heads[TENANT]["hash"] == (await log.stores.index.head(TENANT)).chain.hex()


async def test_an_edited_byte_is_found(log: AuditedLog) -> None:
    """One digit of one comment."""
    entry = await log.stores.log.find(EDITED, 5)
    assert entry is not None
    state = entry.state.replace(b"why 5", b"why 6")
    log.sql("UPDATE EVENTS SET state = ? WHERE originator_id = ? AND originator_version = 5", state, EDITED)
    finding = the_only_one(told := await log.verify(), "edited")
    assert (finding["stream"], finding["version"], finding["number"]) == (EDITED, 5, 14)
    assert the_only_one(told, "anchor_contradicted")["tenantId"] == TENANT


async def test_another_type_is_found(log: AuditedLog) -> None:
    log.sql(
        "UPDATE EVENTS SET topic = 'approval.approved' WHERE originator_id = ? AND originator_version = 2",
        EDITED,
    )
    assert the_only_one(await log.verify(), "edited")["version"] == 2


async def test_a_deleted_event_is_found(log: AuditedLog) -> None:
    log.sql("DELETE FROM EVENTS WHERE originator_id = ? AND originator_version = 5", EDITED)
    told = await log.verify()
    finding = the_only_one(told, "deleted")
    assert (finding["stream"], finding["version"], finding["number"]) == (EDITED, 5, 14)
    assert set(kinds(told)) == {"deleted", "anchor_contradicted", "truncated"}


async def test_two_swapped_events_are_found(log: AuditedLog) -> None:
    one, other = await log.stores.log.find(EDITED, 5), await log.stores.log.find(OTHER, 9)
    assert one is not None
    assert other is not None
    for old, new in ((one.id, -1), (other.id, one.id), (-1, other.id)):
        log.sql("UPDATE EVENTS SET ID = ? WHERE ID = ?", new, old)
    told = await log.verify()
    moved = {(each["stream"], each["version"]) for each in told["findings"] if each["kind"] == "reordered"}
    assert moved == {(EDITED, 5), (OTHER, 9)}
    assert set(kinds(told)) == {"reordered", "anchor_contradicted"}


async def test_an_inserted_event_is_found(log: AuditedLog) -> None:
    """Where an id was free: that of an event that is gone."""
    gone = await log.stores.log.find(EDITED, 5)
    assert gone is not None
    log.sql("UPDATE EVENTS SET originator_version = 99 WHERE ID = ?", gone.id)
    told = await log.verify()
    assert the_only_one(told, "deleted")["version"] == 5
    finding = the_only_one(told, "inserted")
    assert (finding["stream"], finding["version"]) == (EDITED, 99)


async def test_an_event_inserted_among_the_old_ones_is_found(log: AuditedLog) -> None:
    """Before all others there is always room."""
    log.sql(
        "INSERT INTO EVENTS (ID, originator_id, originator_version, topic, state)"
        " SELECT 0, originator_id, 99, topic, state FROM EVENTS"
        " WHERE originator_id = ? AND originator_version = 1",
        EDITED,
    )
    told = await log.verify()
    finding = the_only_one(told, "inserted")
    assert (finding["stream"], finding["version"]) == (EDITED, 99)


async def test_a_truncated_log_is_found(log: AuditedLog) -> None:
    log.sql("DELETE FROM EVENTS WHERE ID > 60")
    told = await log.verify()
    gone = [each for each in told["findings"] if each["kind"] == "truncated" and "position" in each]
    assert [each["position"] for each in gone] == list(range(61, 73))
    without_anchors = await log.verify(anchors=False)
    assert set(kinds(without_anchors)) == {"truncated"}


async def make_the_index_anew(log: AuditedLog) -> None:
    """As somebody would who knows how it is made."""
    await log.made_index.clear()
    await log.index()


OF_IT = "WHERE originator_id = ? AND originator_version"

TAMPERED = {
    "edited": f"UPDATE EVENTS SET topic = 'approval.claimed' {OF_IT} = 8",
    "deleted": f"DELETE FROM EVENTS {OF_IT} = 8",
    "inserted": "INSERT INTO EVENTS (ID, originator_id, originator_version, topic, state)"
    f" SELECT 50, originator_id, 99, topic, state FROM EVENTS {OF_IT} = 8",
    "truncated": f"DELETE FROM EVENTS {OF_IT} > 8",
}


@pytest.mark.parametrize("how", TAMPERED)
async def test_where_the_index_was_made_to_fit_the_anchors_alone_tell(log: AuditedLog, how: str) -> None:
    log.sql("UPDATE EVENTS SET ID = ID + 1000 WHERE ID >= 50")
    log.sql(TAMPERED[how], EDITED)
    await make_the_index_anew(log)
    assert (await log.verify(anchors=False))["sound"]
    told = await log.verify()
    assert set(kinds(told)) <= {"anchor_contradicted", "truncated"}
    assert {finding["tenantId"] for finding in told["findings"]} == {TENANT}
    assert told["findings"][0]["number"] == 19, "the first half was anchored before"


@pytest.mark.parametrize(("version", "first", "last"), [(2, 1, 18), (8, 19, 36)])
async def test_anchors_made_after_the_change_do_not_move_the_place_where_it_was(
    log: AuditedLog, version: int, first: int, last: int
) -> None:
    log.sql(f"UPDATE EVENTS SET topic = 'approval.claimed' {OF_IT} = {version}", EDITED)
    await make_the_index_anew(log)
    log.append((f"{TENANT}/7", 3))
    await log.anchor()
    told = await log.verify()
    found = [each for each in told["findings"] if "the chain after event" in each["what"]]
    assert [each["number"] for each in found] == [first]
    assert f"Of the events {first} to {last} some were edited" in found[0]["what"]


async def test_anchors_made_after_a_restore_do_not_move_the_place_where_it_was(log: AuditedLog) -> None:
    """The log was put back to its 50th event, and other events came in the place of those that were gone."""
    log.sql("DELETE FROM EVENTS WHERE ID > 50")
    await make_the_index_anew(log)
    left = (await log.stores.index.head(TENANT)).number
    for version in (1, 2):
        log.append((f"{TENANT}/7", 1), first_version=version)
        await log.anchor()
    told = await log.verify()
    ends = [each for each in told["findings"] if "it ends after event 28" in each["what"]]
    assert (left, [each["number"] for each in ends]) == (26, [19])
    assert "8 of the events after event 18 are missing" in ends[0]["what"]
    log.append((f"{TENANT}/7", 20), first_version=3)
    await log.anchor()
    found = [each for each in (await log.verify())["findings"] if "the chain after event" in each["what"]]
    assert [each["number"] for each in found] == [19]


async def test_a_swap_made_to_fit_is_told_by_the_anchors(log: AuditedLog) -> None:
    one, other = await log.stores.log.find(EDITED, 8), await log.stores.log.find(OTHER, 9)
    assert one is not None
    assert other is not None
    for old, new in ((one.id, -1), (other.id, one.id), (-1, other.id)):
        log.sql("UPDATE EVENTS SET ID = ? WHERE ID = ?", new, old)
    await make_the_index_anew(log)
    assert kinds(await log.verify()) == ["anchor_contradicted"]


async def test_a_row_of_the_index_that_was_altered_is_found(log: AuditedLog) -> None:
    log.index_sql("UPDATE audit_events SET actor = 'somebody' WHERE position = 20")
    log.index_sql("UPDATE audit_events SET chain = leaf WHERE position = 40")
    log.index_sql("UPDATE audit_events SET number = 1000 WHERE position = 50")
    log.index_sql("UPDATE audit_heads SET number = 5 WHERE tenant = ?", OTHER_TENANT)
    told = await log.verify()
    assert set(kinds(told)) == {"index_altered"}
    assert {finding.get("position") for finding in told["findings"]} >= {20, 40, 50, None}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET latest_at = latest_at + 1 WHERE position = 20",
        "UPDATE audit_events SET latest_at = 0 WHERE number > 0",
        "UPDATE audit_heads SET latest_at = latest_at - 1",
    ],
)
async def test_a_latest_time_that_was_altered_is_found(log: AuditedLog, statement: str) -> None:
    """By it a search for a time finds where to begin."""
    log.index_sql(statement)
    assert set(kinds(await log.verify())) == {"index_altered"}


async def test_sealed_streams_that_the_index_has_forgotten_are_found(tmp_path: Path) -> None:
    """An erasure would not name them."""
    with closing(SqlitePersonalKeys(keys_beside_log(tmp_path))) as keys:
        sealing = Sealing(Keyring(keys, MasterKey(new_key()), fresh_seconds=0), PersonalNames({}))
        async with audited_log(tmp_path, sealing=sealing) as log:
            log.fill(each=2)
            await log.anchor()
            assert (await log.verify())["sound"]
            log.index_sql("DELETE FROM audit_sealed WHERE stream LIKE ?", f"{TENANT}/%/%0")
            told = the_only_one(await log.verify(), "index_altered")
            assert told["tenantId"] == TENANT
            assert "lacks 1 of the streams" in told["what"]


async def test_the_index_made_anew_has_the_same_heads(log: AuditedLog) -> None:
    before = await log.stores.index.heads()
    await make_the_index_anew(log)
    assert await log.stores.index.heads() == before
    assert (await log.verify())["sound"]


async def test_the_chain_is_what_the_documentation_says_it_is(log: AuditedLog) -> None:
    """Computed from the log by hand."""
    chain = genesis_of(TENANT)
    for entry in await log.entries():
        if entry.stream.startswith(TENANT):
            chain = linked(chain, leaf_of_entry(entry))
    assert (await log.stores.index.head(TENANT)).chain == chain


async def test_anchors_that_were_taken_out_or_altered_are_found(log: AuditedLog) -> None:
    for comments in (1, 2):
        log.append((f"{TENANT}/7", 1), first_version=comments)
        await log.anchor()
    anchors = lines_of(log.anchor_file)
    ours = [each for each in anchors if each["tenantId"] == TENANT]
    assert [each["sequence"] for each in ours] == [1, 2, 3, 4]

    async def found(changed: list[dict[str, Any]]) -> list[str]:
        log.anchor_file.write_bytes(write_lines(log.anchor_file, changed).read_bytes())
        return kinds(await log.verify())

    assert await found([each for each in anchors if each is not ours[1]]) == ["anchor_missing"]
    assert await found([each | {"number": 3} if each is ours[2] else each for each in anchors]) == [
        "bad_signature",
        "anchor_missing",
    ]
    assert await found([each | {"keyId": "sha256:00"} if each is ours[3] else each for each in anchors]) == [
        "unknown_key"
    ]
    assert await found(anchors * 2) == []
