"""A backfill that has come to its end goes to an archive; its job goes on, and so do its runs."""

from pathlib import Path
from typing import Any

import pytest

from config.commands.archives import archive, restore
from config.commands.rebuild import rebuild
from config.commands.verify import verify
from tests.archives import signing_settings
from tests.audit_trail import verified_store, verify_file
from tests.harness import SYSTEM_TENANT, UNKNOWN_ID
from tests.integration.test_backfills import JOBS, RULES, on_the_bus

pytestmark = pytest.mark.anyio


async def test_a_finished_backfill_is_archived_shown_and_comes_back(tmp_path: Path) -> None:
    settings = signing_settings(tmp_path, overlay=RULES)
    async with on_the_bus(settings) as world:
        done = await world.started()
        shown = await world.ended(done)
        await world.service.caught_up()
    out = tmp_path / "archives"
    await archive(settings, out, older_than="0s", tenant=None, reason=None, dry_run=False)
    (file,) = out.iterdir()
    assert file.name.startswith(SYSTEM_TENANT)
    assert verify_file(file, [tmp_path / "key.pub"])["sound"]
    await verify(settings, ())
    await rebuild(settings, ())
    async with on_the_bus(settings) as world, world.client() as client:
        assert await world.shown(done) == shown
        past = await client.get(f"{JOBS}/backfills/{done}", params={"asOf": "1"})
        assert (past.status_code, past.json()["error"]["code"]) == (410, "ARCHIVED")
        page = await client.get(f"/console/audit/backfill/{done}")
        assert f'href="/console{JOBS.removeprefix("/api/v1")}">Job of this backfill' in page.text
        assert (await client.get(f"/console/audit/backfill/{UNKNOWN_ID}")).status_code == 404
        cancelled = await client.post(f"{JOBS}/backfills/{done}/cancel", json={"reason": "too late"})
        assert cancelled.status_code in (409, 410), cancelled.text
        listed: dict[str, Any] = (await client.get(f"{JOBS}/backfills")).json()
        assert [each["backfillId"] for each in listed["backfills"]] == [done]
        runs = (await client.get(f"{JOBS}/runs")).json()
        assert runs["total"] == 5
        again = await world.started(**{"from": "2026-02-01", "to": "2026-02-04"})
        assert (await world.ended(again))["status"] == "completed"
        await world.service.caught_up()
    assert (await verified_store(settings, tmp_path / "key.pub"))["sound"]
    await restore(settings, [file], ())
    async with on_the_bus(settings) as world, world.client() as client:
        past = await client.get(f"{JOBS}/backfills/{done}", params={"asOf": "1"})
        assert past.status_code == 200
        assert await world.shown(done) == shown
