"""Commands beside a service, on one order over all tenants and on an order a tenant."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import anyio
import pytest

from config.commands import overview, rebuild
from config.commands.overview import standings_of
from config.commands.rebuild import until_followed
from config.projections import Projections
from config.stores import SharedStores
from infrastructure.memory.checkpoints import MemoryCheckpoints
from projections.ports import MendableDocuments
from projections.projection import Projection
from tests.application.logs import ONE_PARTITION_AND_MANY, open_logs, settings_of
from tests.application.test_event_store import OTHER_STREAM, append
from tests.builders import LEASE, OTHER_TENANT, TENANT
from tests.harness import settings_in
from tests.projections.memory_documents import MemoryDocuments

pytestmark = pytest.mark.anyio

RUNS = "workflow_job_runs"


@pytest.fixture(params=ONE_PARTITION_AND_MANY)
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[SharedStores]:
    """Documents of a log in which one tenant has three events, and another two."""
    with open_logs(settings_of(request.param, request)) as logs:
        store = logs.store()
        await append(store, "a", "b")
        await append(store, "x", "y", stream=OTHER_STREAM)
        await append(store, "c")
        yield SharedStores(store, cast(MendableDocuments, MemoryDocuments()), MemoryCheckpoints())


def chosen_in(folder: Path) -> list[Projection]:
    return [each for each in Projections.named_by(settings_in(folder)).all() if each.container.name == RUNS]


async def follow(stores: SharedStores, partition: str) -> None:
    """Somebody has followed all of it."""
    head = await stores.event_store.head(partition)
    await stores.document_positions.save(RUNS, partition, head, LEASE)


async def test_what_is_behind_is_counted_in_every_partition(
    stores: SharedStores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_SAMPLE_SECONDS", 0.01)
    ours, theirs = map(stores.event_store.partition_of, (TENANT, OTHER_TENANT))
    many = ours != theirs

    async def told() -> tuple[int, bool, bool]:
        (standing,) = await standings_of(settings_in(tmp_path), chosen_in(tmp_path), stores)
        return standing.behind, standing.lag_seconds > 0, standing.position is not None

    assert await told() == (5, True, False)
    await follow(stores, ours)
    assert await told() == ((2, True, False) if many else (0, False, True))
    await follow(stores, theirs)
    assert await told() == (0, False, not many)


async def test_a_rebuild_waits_for_the_followers_in_every_partition(
    stores: SharedStores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "_LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(rebuild, "_FOLLOWED_SECONDS", 60.0)
    async with anyio.create_task_group() as waiting:
        has_followed = anyio.Event()

        async def wait() -> None:
            await until_followed(chosen_in(tmp_path), stores)
            has_followed.set()

        waiting.start_soon(wait)
        for partition in await stores.event_store.partitions():
            await anyio.sleep(0.05)
            assert not has_followed.is_set()
            await follow(stores, partition)
        with anyio.fail_after(5):
            await has_followed.wait()
