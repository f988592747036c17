"""A page has one moment that it speaks of, which is the clock's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from domain.values import timestamp
from infrastructure.clock import SystemClock
from interfaces.console.console import Console
from interfaces.console.session import GatewaySession
from interfaces.rest.identity import GatewayAuthenticator, Operators
from tests.builders import TENANT, SettableClock
from tests.harness import Service, service, settings_in

pytestmark = pytest.mark.anyio

DUE = SystemClock().now() + timedelta(days=10)


@asynccontextmanager
async def visitor(running: Service, clock: SettableClock) -> AsyncIterator[httpx.AsyncClient]:
    """Ada, for whom it is as late as a clock says."""
    console = Console(running.container.app, GatewayAuthenticator(), Operators([]), GatewaySession(), clock)
    app = httpx.ASGITransport(Starlette(routes=console.routes()))
    headers = {"X-Tenant-ID": TENANT, "X-User-ID": "ada"}
    async with httpx.AsyncClient(transport=app, base_url="http://localhost", headers=headers) as client:
        yield client


async def test_what_is_due_and_what_is_overdue_go_by_the_clock(tmp_path: Path) -> None:
    clock = SettableClock(DUE - timedelta(days=2))
    async with service(settings_in(tmp_path, AUTH_MODE="gateway")) as running, visitor(running, clock) as ada:
        async with running.client() as asking:
            deal = {"opportunityId": "opp-1", "riskScore": 0.8, "amount": 10, "dueAt": timestamp(DUE)}
            made = await asking.post("/api/v1/hitl/approvals", json=deal)
        await running.caught_up()
        page = f"/console/approvals/{made.json()['id']}"
        before = (await ada.get(page)).text
        clock.advance(days=5)
        after = (await ada.get(page)).text
    assert ("2 d left" in before, "overdue" in before) == (True, False)
    assert ("3 d late" in after, ">overdue<" in after) == (True, True)
