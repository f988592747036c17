"""A copy into Cosmos DB that is killed is half a copy: nobody works on it, and the next makes it whole."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from config.cosmos import COORDINATION
from config.cosmos_beside import BESIDE
from infrastructure.cosmos.log_reader import CosmosLogReader
from tests.cosmos import Account
from tests.harness import run_module
from tests.infrastructure.cosmos_places import Place, opened_in, place_in
from tests.tenants_logs import by_tenant, filled

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, pytest.mark.timeout(300)]

Ended = subprocess.CompletedProcess[str]

HALF = "the log in Cosmos DB is an incomplete copy: copy-log did not finish. Run it again to continue"


@pytest.fixture
async def place(plain_cosmos: Account) -> AsyncIterator[Place]:
    async with place_in(plain_cosmos) as place:
        yield place


async def ran(place: Place, folder: Path, *arguments: str, module: str = "config.main") -> Ended:
    """A command on the log there."""
    environ = {
        **place.account.environ(place.name),
        "EVENT_STORE_URL": "cosmos://",
        "RABBITMQ_URL": "amqp://guest:guest@127.0.0.1:1/",
        "DATA_DIR": str(folder / "data"),
    }
    return await run_sync(lambda: run_module(module, *arguments, timeout=120, **environ))


async def copied(place: Place, folder: Path, source: str) -> str:
    """The last line of a copy that goes through."""
    ended = await ran(place, folder, "copy-log", "--from", source, "--to", "cosmos://")
    assert ended.returncode == 0, ended.stderr
    return str(ended.stdout.splitlines()[-1])


async def events_in(place: Place) -> int:
    async with opened_in(place) as database:
        return await CosmosLogReader(database, "workflow_events", COORDINATION, BESIDE, place="here").count()


@pytest.mark.parametrize("moment", ["storing", "finished"])
async def test_half_a_copy_is_refused_by_who_would_work_on_it_and_gone_on_with_by_the_next(
    place: Place, tmp_path: Path, moment: str
) -> None:
    source = await filled(f"sqlite:///{tmp_path / 'from' / 'events.db'}", rounds=300)
    of_source = ("--from", source, "--to", "cosmos://")
    killed = await ran(place, tmp_path, moment, *of_source, module="tests.chaos.killed_copy")
    assert killed.returncode == -9, killed.stderr
    count = await events_in(place)
    assert (0 < count < 901) if moment == "storing" else count == 901

    for command in (["serve"], ["audit", "verify"], ["rebuild"]):
        refused = await ran(place, tmp_path, *command)
        assert refused.returncode > 0
        assert refused.stderr.strip() == HALF
    back = f"sqlite:///{tmp_path / 'back' / 'events.db'}"
    refused = await ran(place, tmp_path, "copy-log", "--from", "cosmos://", "--to", back)
    assert refused.stderr.strip() == f"--from: {HALF}"

    assert await copied(place, tmp_path, source) == "copied and verified"
    assert await copied(place, tmp_path, source) == "verified: the same log was there already"
    assert "SOUND" in (await ran(place, tmp_path, "audit", "verify")).stdout
    ended = await ran(place, tmp_path, "copy-log", "--from", "cosmos://", "--to", back)
    assert ended.returncode == 0, ended.stderr
    assert by_tenant(back) == by_tenant(source)


async def test_a_kill_when_all_is_done_leaves_a_whole_log(place: Place, tmp_path: Path) -> None:
    source = await filled(f"sqlite:///{tmp_path / 'from' / 'events.db'}")
    of_source = ("--from", source, "--to", "cosmos://")
    killed = await ran(place, tmp_path, "committed", *of_source, module="tests.chaos.killed_copy")
    assert killed.returncode == -9, killed.stderr
    assert "SOUND" in (await ran(place, tmp_path, "audit", "verify")).stdout
    assert await copied(place, tmp_path, source) == "verified: the same log was there already"
