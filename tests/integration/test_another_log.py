"""Positions of another log are recognised: nothing wrong is shown, and nothing is left unsaid."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.harness import USER, Service, service, settings_in
from tests.integration.conftest import is_connected
from tests.neighbours import Names, Neighbour

pytestmark = pytest.mark.anyio

PATH = "/api/v1/hitl/approvals"


async def ask(running: Service, count: int) -> list[str]:
    """Approvals made by REST, once they are in the documents."""
    made = []
    async with running.client() as client:
        for number in range(count):
            deal = {"opportunityId": f"opp-{number}", "riskScore": 1, "amount": 1}
            made.append((await client.post(PATH, json=deal)).json()["id"])
    await running.caught_up()
    return made


async def listed(running: Service) -> set[str]:
    """The ids that the list shows."""
    async with running.client() as client:
        page: dict[str, Any] = (await client.get(PATH)).json()
    return {approval["id"] for approval in page["approvals"]}


@pytest.mark.postgres
@pytest.mark.rabbitmq
async def test_another_store_behind_the_same_folder_shows_its_own_documents(
    tmp_path: Path, postgres_store_url: str, rabbitmq_url: str, names: Names
) -> None:
    async with service(settings_in(tmp_path)) as running:
        await ask(running, 3)
    elsewhere = settings_in(
        tmp_path, overlay=names.overlay(), RABBITMQ_URL=rabbitmq_url, EVENT_STORE_URL=postgres_store_url
    )
    async with service(elsewhere) as running:
        assert await listed(running) == set()
        new = await ask(running, 1)
        assert await listed(running) == set(new)


async def test_a_log_that_is_restored_from_a_backup_takes_the_documents_back_with_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with service(settings) as running:
        kept = await ask(running, 2)
    backup = shutil.copytree(tmp_path / "data", tmp_path / "backup")
    async with service(settings) as running:
        await ask(running, 3)
    for file in (tmp_path / "data").glob("events.db*"):
        file.unlink()
    for file in backup.glob("events.db*"):
        shutil.copy(file, tmp_path / "data")
    async with service(settings) as running:
        await running.caught_up()
        assert await listed(running) == set(kept)
        new = await ask(running, 2)
        assert await listed(running) == {*kept, *new}


@pytest.mark.rabbitmq
async def test_a_log_that_begins_anew_tells_its_decisions(
    tmp_path: Path, rabbitmq_url: str, names: Names, crm: Neighbour
) -> None:
    settings = settings_in(tmp_path, overlay=names.overlay(), RABBITMQ_URL=rabbitmq_url)
    for decided in (1, 2):
        async with service(settings) as running:
            await is_connected(running)
            for approval in await ask(running, 2):
                async with running.client() as client:
                    await client.post(f"{PATH}/{approval}/approve", json={"decidedBy": USER})
            await crm.expect("hitl.approval.completed", decided * 2)
        for file in (tmp_path / "data").glob("events.db*"):
            file.unlink()
