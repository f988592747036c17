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


async def test_a_tenant_has_half_of_the_places_and_gives_them_back(tmp_path: Path) -> None:
    async with service(settings_in(tmp_path, MAX_REQUESTS="1", BATCH_JOBS_ENABLED="false")) as running:
        for _ in range(2):
            async with anyio.create_task_group() as group:
                for _ in range(2):
                    group.start_soon(claimed, running, 4)
                    await anyio.sleep(0.2)
                refused = await claimed(running, 1)
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, "OVERLOADED")

                async def another_is_let_in() -> bool:
                    """Unless one who waits looks again just then, and has the one place of the moment."""
                    others = await claimed(running, 1, OTHER_TENANT)
                    return (others.status_code, others.text) == (200, '{"tasks":[]}')

                await eventually(another_is_let_in)
