"""Commands beside a log in Cosmos DB make none: in a database that is misspelt nothing would seem wrong."""

import base64
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from tests.cosmos import Account, administrator
from tests.harness import TENANT, run_command
from tests.infrastructure.cosmos_places import Place, place_in

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, pytest.mark.timeout(120)]

COMMANDS = {
    "projections": ["projections"],
    "verify": ["rebuild", "--verify"],
    "rebuild": ["rebuild"],
    "audit verify": ["audit", "verify"],
    "audit export": ["audit", "export", "--tenant", TENANT],
    "archive": ["archive", "--out", "archives", "--older-than", "0s"],
    "archive --dry-run": ["archive", "--older-than", "0s", "--dry-run"],
    "archive-restore": ["archive-restore", "archives/some.gz"],
    "erase": ["erase", "--tenant", TENANT, "--subject", "somebody", "--reason", "tried"],
}


async def containers_in(place: Place) -> list[str] | None:
    """The containers of a database; nothing where there is none."""
    async with administrator(place.account) as client:
        try:
            return [each["id"] async for each in client.get_database_client(place.name).list_containers()]
        except CosmosResourceNotFoundError:
            return None


async def refused(place: Place, folder: Path, command: str) -> str:
    """The last line of what a command says that does nothing."""
    environ: dict[str, Any] = {
        **place.account.environ(place.name),
        "EVENT_STORE_URL": "cosmos://",
        "DATA_DIR": str(folder / "data"),
        "PRIVACY_MASTER_KEY": base64.b64encode(bytes(32)).decode(),
    }
    ran = await run_sync(lambda: run_command(*COMMANDS[command], **environ))
    assert ran.returncode != 0, ran.stdout
    assert "Traceback" not in ran.stderr
    return ran.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_database_that_is_not_there_is_told_and_not_made(
    plain_cosmos: Account, tmp_path: Path, command: str
) -> None:
    async with place_in(plain_cosmos) as place:
        assert f"there is no database {place.name}" in await refused(place, tmp_path, command)
        assert await containers_in(place) is None


async def test_a_database_without_a_log_is_told_and_is_given_none(
    plain_cosmos: Account, tmp_path: Path
) -> None:
    async with place_in(plain_cosmos) as place:
        async with administrator(plain_cosmos) as client:
            await client.create_database(place.name)
        line = await refused(place, tmp_path, "projections")
        assert f"there is no log in the database {place.name}" in line
        assert await containers_in(place) == []
