"""What a person has said goes for good from a log in Cosmos DB and from its archives, in one tenant alone."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.commands.archives import archive, restore
from config.commands.erase import erase
from config.commands.rebuild import rebuild
from config.commands.verify import verify
from config.settings import Settings
from tests.archives import API, signing_settings
from tests.audit_trail import kinds, verified_store
from tests.cosmos import Account
from tests.harness import OTHER_TENANT, TENANT, Service, service
from tests.infrastructure.cosmos_places import Place, place_in
from tests.integration.test_archive_in_cosmos import environ_of
from tests.integration.test_cosmos_service import dump
from tests.neighbours import Names, forget

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, pytest.mark.rabbitmq, pytest.mark.timeout(180)]

WORDS = {TENANT: "what Zebedee has asked for", OTHER_TENANT: "what another Zebedee would not have"}


@pytest.fixture
async def place(plain_cosmos: Account) -> AsyncIterator[Place]:
    async with place_in(plain_cosmos) as place:
        yield place


@pytest.fixture
async def settings(place: Place, tmp_path: Path, rabbitmq_url: str, names: Names) -> AsyncIterator[Settings]:
    overlay = {**names.overlay(), "privacy": {"fresh_seconds": 0.1}}
    yield signing_settings(tmp_path, overlay=overlay, **environ_of(place, rabbitmq_url))
    await forget(rabbitmq_url, names)


async def said(running: Service, tenant: str) -> str:
    """The approval that Zebedee of a tenant has rejected, with his words."""
    asked = {"opportunityId": "opp-9", "riskScore": 0.5, "amount": 3}
    async with running.client(tenant, **{"X-User-ID": "zebedee"}) as client:
        id = str((await client.post(f"{API}/hitl/approvals", json=asked)).json()["id"])
        rejected = {"decidedBy": "zebedee", "comment": WORDS[tenant]}
        answer = await client.post(f"{API}/hitl/approvals/{id}/reject", json=rejected)
        assert answer.is_success, answer.text
    return id


async def archived(settings: Settings, out: Path) -> list[Path]:
    for tenant in (TENANT, OTHER_TENANT):
        await archive(settings, out, older_than="0s", tenant=tenant, reason=None, dry_run=False)
    files = sorted(out.iterdir())
    assert len(files) == 2
    return files


async def comment(settings: Settings, tenant: str, id: str) -> Any:
    """What a service shows of it, on the log as it is now."""
    async with service(settings) as running, running.client(tenant) as client:
        await running.caught_up()
        answer: httpx.Response = await client.get(f"{API}/hitl/approvals/{id}")
        trail = (await client.get(f"{API}/hitl/approvals/{id}/events")).text
        assert (WORDS[tenant] in trail) == (answer.json()["comment"] == WORDS[tenant])
        return answer.json()["comment"]


@pytest.mark.parametrize("is_archived_first", [True, False], ids=["archived first", "erased first"])
async def test_what_one_tenants_person_said_is_gone_and_the_others_is_there(
    settings: Settings, plain_cosmos: Account, tmp_path: Path, is_archived_first: bool
) -> None:
    async with service(settings) as running:
        ids = {tenant: await said(running, tenant) for tenant in WORDS}
        await running.caught_up()
    files = await archived(settings, tmp_path / "archives") if is_archived_first else []
    before = str(await dump(plain_cosmos, settings))
    assert all(words in before for words in WORDS.values())

    await erase(settings, TENANT, "zebedee", None, dry_run=False, again=False)
    documents = str(await dump(plain_cosmos, settings))
    assert WORDS[TENANT] not in documents
    assert WORDS[OTHER_TENANT] in documents
    await verify(settings, ())
    assert kinds(await verified_store(settings, tmp_path / "key.pub")) == []

    if not files:
        async with service(settings) as running:
            await running.caught_up()  # what the erasure names stays until then
        files = await archived(settings, tmp_path / "archives")
    for file in files:
        content = gzip.decompress(file.read_bytes()).decode()
        assert not any(words in content for words in WORDS.values()), "they are sealed, or gone"
    await restore(settings, files, ())
    await rebuild(settings, ())
    await verify(settings, ())
    assert await comment(settings, TENANT, ids[TENANT]) == "[erased]"
    assert await comment(settings, OTHER_TENANT, ids[OTHER_TENANT]) == WORDS[OTHER_TENANT]
    assert kinds(await verified_store(settings, tmp_path / "key.pub")) == []
