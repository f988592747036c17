"""What is archived after an erasure keeps the documents that were made again for it."""

from pathlib import Path

import msgspec
import pytest

from config.commands.archives import archive
from config.commands.erase import erase
from config.commands.rebuild import rebuild
from config.commands.verify import verify
from config.settings import Settings
from tests.archives import API, documents_in, posted, signing_settings
from tests.harness import TENANT, USER, service

pytestmark = pytest.mark.anyio


async def archived(settings: Settings) -> None:
    folder = settings.storage.data_dir / "archives"
    await archive(settings, folder, older_than="0s", tenant=TENANT, reason=None, dry_run=False)


async def erased(settings: Settings, subject: str = USER) -> None:
    await erase(settings, TENANT, subject, None, dry_run=False, again=False)


async def decided(settings: Settings) -> str:
    """An approval that was rejected with a comment, in a service that is stopped."""
    async with service(settings) as running, running.client() as client:
        payload = {"customerName": "Mr. Zebedee"}
        asked = {"opportunityId": "o", "riskScore": 1, "amount": 1, "payload": payload}
        id = str((await posted(client, "/hitl/approvals", asked))["id"])
        await posted(client, f"/hitl/approvals/{id}/reject", {"decidedBy": USER, "comment": "Ann says no"})
        await running.caught_up()
    return id


def comments(settings: Settings) -> list[str]:
    rows = documents_in(settings.storage.data_dir)["hitl_approvals"]
    return [msgspec.json.decode(body)["comment"] for *_, body in rows]


async def test_what_an_erasure_names_is_archived_once_its_documents_are_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = signing_settings(tmp_path, overlay={"privacy": {"fresh_seconds": 0.2}})
    id = await decided(settings)
    await erased(settings)
    await archived(settings)
    told = capsys.readouterr().out
    assert "has not followed it yet" in told
    assert "1 thing" not in told
    async with service(settings) as running, running.client() as client:
        await running.caught_up()
        assert (await client.get(f"{API}/hitl/approvals/{id}")).json()["comment"] == "[erased]"
    await archived(settings)
    assert "1 thing" in capsys.readouterr().out
    async with service(settings) as running, running.client() as client:
        await running.caught_up()
        assert (await client.get(f"{API}/hitl/approvals/{id}")).json()["comment"] == "[erased]"
    await verify(settings, ())
    await rebuild(settings, ())
    assert comments(settings) == ["[erased]"]


async def test_an_erasure_after_it_takes_them_away_also_where_another_came_before(tmp_path: Path) -> None:
    settings = signing_settings(tmp_path, overlay={"privacy": {"fresh_seconds": 0.2}})
    await decided(settings)
    await erased(settings)
    async with service(settings) as running:
        await running.caught_up()
    await archived(settings)
    await erased(settings, "opportunity:o")
    assert comments(settings) == []
    await rebuild(settings, ())
    assert comments(settings) == []
