"""Who waits for tasks keeps nobody of another tenant from waiting."""

from pathlib import Path

import anyio
import httpx
import pytest

from tests.harness import OTHER_TENANT, Service, eventually, service, settings_in

pytestmark = pytest.mark.anyio


async def claimed(running: Service, seconds: int, tenant: str | None = None) -> httpx.Response:
    """The answer to a claim of a queue that is empty."""
    async with running.client(*(() if tenant is None else (tenant,))) as client:
        asked = {"queue": "q", "workerId": "w", "waitSeconds": seconds}
        return await client.post("/api/v1/tasks/claim", json=asked)


async def wait_on(running: Service) -> None:
    """Wait for a task again and again; who is not let in tries again."""
    while True:
        await claimed(running, 10)
        await anyio.sleep(0.05)


async def test_a_tenant_has_half_of_the_places_and_gives_them_back(tmp_path: Path) -> None:
    async with service(settings_in(tmp_path, MAX_REQUESTS="1", BATCH_JOBS_ENABLED="false")) as running:

        async def one_more_is_refused() -> bool:
            """Each time: once may be since one who waits looks again just then, and has the one turn."""
            return all([(await claimed(running, 1)).status_code == 503 for _ in range(4)])

        async def another_is_let_in() -> bool:
            others = await claimed(running, 1, OTHER_TENANT)
            return (others.status_code, others.text) == (200, '{"tasks":[]}')

        for _ in range(2):
            async with anyio.create_task_group() as group:
                for _ in range(2):
                    group.start_soon(wait_on, running)
                await eventually(one_more_is_refused, seconds=20)
                await eventually(another_is_let_in)
                group.cancel_scope.cancel()
            assert (await claimed(running, 1)).status_code == 200
