"""Definitions whose patterns take long to parse, from one tenant: nobody else waits for them all."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import OTHER_TENANT, TENANT
from tests.harness import service_process

pytestmark = pytest.mark.anyio

FLOOD = 60


def definition(number: int) -> dict[str, Any]:
    """Its patterns take some seconds."""
    patterns = {f"p{at}": {"pattern": rf"(x{number}y{at}{{1,200}}){{1,20}}\w{{100}}"} for at in range(50)}
    step = {"stepType": "a", "kind": "wait", "parameters": {"seconds": 1}}
    return {"name": "d", "steps": [step], "inputSchema": {"properties": patterns}}


async def test_others_are_served_while_one_tenant_sends_many(tmp_path: Path) -> None:
    with service_process(tmp_path) as service:
        limits = httpx.Limits(max_connections=FLOOD + 10)
        async with httpx.AsyncClient(base_url=service.url, limits=limits, timeout=120) as client:

            async def send(number: int) -> None:
                path = "/api/v1/workflow-definitions/validate"
                await client.post(path, json=definition(number), headers={"X-Tenant-ID": TENANT})

            sending = [asyncio.create_task(send(number)) for number in range(FLOOD)]
            await asyncio.sleep(2)
            began = time.monotonic()
            body = {"opportunityId": "o", "riskScore": 1, "amount": 1}
            for path, sent in (("hitl/approvals", body), ("workflow-definitions/validate", definition(0))):
                answer = await client.post(
                    f"/api/v1/{path}", json={**sent}, headers={"X-Tenant-ID": OTHER_TENANT}
                )
                assert answer.is_success
            assert time.monotonic() - began < 30
            for each in sending:
                each.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
