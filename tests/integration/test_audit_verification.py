"""Whether a tenant's chain holds, asked a stretch at a time of a log that somebody may have changed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from application.audit.checking import AT_ONCE, Checking, NoSuchPlace, Stretch
from application.audit.ports import Indexed, Wanted
from tests.audit_trail import AuditedLog, audited_log, stream
from tests.builders import OTHER_TENANT, TENANT

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AuditedLog]:
    """A log of twelve events of each of two tenants, indexed and anchored."""
    url = request.getfixturevalue("postgres_store_url") if request.param == "postgres" else None
    async with audited_log(tmp_path, url) as opened:
        opened.fill(each=4)
        await opened.anchor()
        yield opened


async def check(log: AuditedLog, *, limit: int = 5000, beyond: int = 0) -> Stretch:
    stores = log.stores
    checking = Checking(stores.log, stores.index, stores.anchors)
    return await checking.check(TENANT, beyond=beyond, limit=limit)


def told(stretch: Stretch) -> list[tuple[str, int]]:
    return [(flaw.kind, flaw.number) for flaw in stretch.flaws]


async def rows(log: AuditedLog, tenant: str = TENANT) -> list[Indexed]:
    return list(await log.stores.index.page(Wanted(tenant=tenant), beyond=0, limit=100))


async def test_what_nobody_has_changed_holds_in_one_stretch_and_in_many(log: AuditedLog) -> None:
    whole = await check(log)
    assert (whole.first, whole.last, whole.beyond, told(whole)) == (1, 12, None, [])
    beyond: int | None = 0
    seen = []
    while beyond is not None:
        part = await check(log, limit=5, beyond=beyond)
        assert told(part) == []
        seen.append((part.first, part.last))
        beyond = part.beyond
    assert seen == [(1, 5), (6, 10), (11, 12)]


async def test_a_long_chain_is_read_in_parts(log: AuditedLog) -> None:
    log.append((f"{TENANT}/7", AT_ONCE + 5))
    await log.index(batch_size=500)
    assert ((whole := await check(log)).last, told(whole)) == (12 + AT_ONCE + 5, [])


async def test_a_place_of_another_tenants_is_none(log: AuditedLog) -> None:
    foreign = (await rows(log, OTHER_TENANT))[0].position
    for place in (foreign, 10**9):
        with pytest.raises(NoSuchPlace):
            await check(log, beyond=place)


async def test_edited_and_deleted_events_are_named(log: AuditedLog) -> None:
    of_it = "WHERE originator_id = ? AND originator_version"
    log.sql(f"UPDATE EVENTS SET topic = 'approval.claimed' {of_it} = 2", stream(TENANT, 1))
    log.sql(f"DELETE FROM EVENTS {of_it} = 3", stream(TENANT, 0))
    assert told(await check(log)) == [("edited", 5), ("deleted", 7)]


async def test_an_index_whose_hashes_do_not_follow_is_told(log: AuditedLog) -> None:
    eleventh, last = (await rows(log))[-2:]
    log.index_sql(f"UPDATE audit_events SET chain = leaf WHERE position = {eleventh.position}")
    assert told(await check(log)) == [("index_altered", 11), ("index_altered", 12)]
    log.index_sql(f"UPDATE audit_events SET chain = leaf WHERE position = {last.position}")
    assert told(await check(log))[2:] == [("anchor_contradicted", 12)]


@pytest.mark.parametrize(("change", "kind"), [("= 2", "anchor_contradicted"), ("> 3", "truncated")])
async def test_an_index_that_was_made_to_fit_is_told_by_the_anchor(
    log: AuditedLog, change: str, kind: str
) -> None:
    if kind == "truncated":
        log.sql(f"DELETE FROM EVENTS WHERE originator_version {change}")
    else:
        log.sql(f"UPDATE EVENTS SET topic = 'approval.claimed' WHERE originator_version {change}")
    await log.made_index.clear()
    await log.index()
    assert told(await check(log)) == [(kind, 12)]
