"""Archives where the documents are in Cosmos DB: they stay, are carried over, and go with an erasure."""

from pathlib import Path

import pytest

from config.commands.archives import archive, restore
from config.commands.erase import erase
from config.commands.rebuild import rebuild
from config.commands.verify import verify
from config.settings import Settings
from tests.archives import API, a_past, documents_in, posted, signing_settings
from tests.audit_trail import verified_store
from tests.cosmos import Account, dropped_afterwards, fresh_database
from tests.harness import TENANT, USER, service
from tests.integration.test_cosmos_service import dump

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos]

WORDS = "what Zebedee has asked for"


async def test_documents_of_what_is_archived_stay_and_go_with_an_erasure(
    tmp_path: Path, cosmos: Account
) -> None:
    database = fresh_database()
    overlay = {"privacy": {"fresh_seconds": 0.1}}
    settings = signing_settings(tmp_path, overlay=overlay, **cosmos.environ(database))
    async with dropped_afterwards(cosmos, database):
        async with service(settings) as running:
            made = await a_past(running)
            async with running.client(**{"X-User-ID": "zebedee"}) as client:
                body = {"opportunityId": "opp-9", "riskScore": 0.5, "amount": 3}
                said = (await client.post(f"{API}/hitl/approvals", json=body)).json()["id"]
                rejected = {"decidedBy": "zebedee", "comment": WORDS}
                answer = await client.post(f"{API}/hitl/approvals/{said}/reject", json=rejected)
                assert answer.is_success
                await running.caught_up()
        before = await dump(cosmos, settings)
        out = tmp_path / "archives"
        await archive(settings, out, older_than="0s", tenant=TENANT, reason=None, dry_run=False)
        (file,) = out.iterdir()
        await verify(settings, ())
        await rebuild(settings, ())
        assert await dump(cosmos, settings) == before
        assert WORDS in str(before)

        await erase(settings, TENANT, "zebedee", None, dry_run=False, again=False)
        erased = await dump(cosmos, settings)
        assert WORDS not in str(erased), "no service is at work: the command makes them again"
        assert (TENANT, said) not in erased["hitl_approvals"]
        assert (TENANT, made.decided[0]) in erased["hitl_approvals"]
        await verify(settings, ())
        assert (await verified_store(settings, tmp_path / "key.pub"))["sound"]

        await restore(settings, [file], ())
        await rebuild(settings, ())
        await verify(settings, ())
        back = (await dump(cosmos, settings))["hitl_approvals"][TENANT, said]
        assert back["comment"] == "[erased]"


async def test_documents_left_from_before_are_made_again_too_and_hold_no_archive_back(
    tmp_path: Path, cosmos: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    database = fresh_database()
    overlay = {"privacy": {"fresh_seconds": 0.1}}
    await _rejected(signing_settings(tmp_path, overlay=overlay), WORDS)
    settings = signing_settings(tmp_path, overlay=overlay, **cosmos.environ(database))
    async with dropped_afterwards(cosmos, database):
        await _rejected(settings, WORDS)
        assert WORDS in str(documents_in(settings.storage.data_dir))
        await erase(settings, TENANT, USER, None, dry_run=False, again=False)
        assert WORDS not in str(documents_in(settings.storage.data_dir))
        async with service(settings) as running:
            await running.caught_up()
        await archive(
            settings, tmp_path / "archives", older_than="0s", tenant=TENANT, reason=None, dry_run=False
        )
        assert "2 things" in capsys.readouterr().out


async def _rejected(settings: Settings, comment: str) -> None:
    async with service(settings) as running, running.client() as client:
        asked = {"opportunityId": "opp-9", "riskScore": 0.5, "amount": 3}
        id = (await posted(client, "/hitl/approvals", asked))["id"]
        await posted(client, f"/hitl/approvals/{id}/reject", {"decidedBy": USER, "comment": comment})
        await running.caught_up()
