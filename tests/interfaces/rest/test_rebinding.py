"""A page whose name has come to mean this machine (DNS rebinding) is of our own origin for a browser, and may
send any header: where these are believed because only this machine reaches us, we answer to its names alone.
"""

import json
from pathlib import Path

import pytest

from tests.harness import TENANT, Service, service, service_process, settings_in
from tests.interfaces.rest.conftest import SECRET

pytestmark = pytest.mark.anyio

EVERYWHERE = [
    "/api/v1/workflows",
    "/api/v1/hitl/approvals",
    "/api/v1/tasks/x/stream",
    "/console",
    "/console/static/console.css",
    "/docs",
    "/openapi.yaml",
    "/health",
    "/ready",
    "/metrics",
    "/nowhere",
]
ELSEWHERE = [
    "evil.example",
    "evil.example:3051",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "192.168.1.7:3051",
]
UNREADABLE = [
    "",
    "[::1",
    "localhost:x",
    "evil@localhost",
    "localhost@evil.example",
    "localhost, evil.example",
]


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_by_another_name_nothing_is_answered(behind_gateway: Service, path: str) -> None:
    told = {"Host": "evil.example:3051", "X-User-ID": "ada", "X-User-Roles": "admin", "Accept": "text/html"}
    async with behind_gateway.client(TENANT, **told) as page:
        answer = await page.get(path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (421, "MISDIRECTED")
    assert "AUTH_MODE" in error["message"]
    assert error["requestId"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("host", [*ELSEWHERE, *UNREADABLE])
async def test_no_command_is_taken_by_a_name_of_another_machine_or_by_none(
    behind_gateway: Service, host: str
) -> None:
    async with behind_gateway.client(**{"X-User-ID": "ada"}) as here:
        deal = {"opportunityId": "opp-1", "riskScore": 1, "amount": 2}
        answer = await here.post("/api/v1/hitl/approvals", json=deal, headers={"Host": host})
        assert answer.status_code == 421, answer.text
        assert (await here.get("/api/v1/hitl/approvals")).json()["total"] == 0


async def test_two_names_are_none(behind_gateway: Service) -> None:
    async with behind_gateway.client() as page:
        answer = await page.get("/health", headers=[("Host", "localhost"), ("Host", "evil.example")])
    assert answer.status_code == 421


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:3051", "127.0.0.1", "127.0.0.1:3051", "127.8.8.8", "[::1]", "[::1]:3051"]
)
async def test_by_a_name_of_this_machine_everything_is(behind_gateway: Service, host: str) -> None:
    async with behind_gateway.client(**{"Host": host, "X-User-ID": "ada"}) as here:
        for path in ("/api/v1/workflows", "/console", "/docs", "/health"):
            assert (await here.get(path)).status_code == 200


@pytest.mark.parametrize(("mode", "secret"), [("gateway", ""), ("", SECRET)])
async def test_behind_a_gateway_and_with_tokens_any_name_will_do(
    tmp_path: Path, mode: str, secret: str
) -> None:
    settings = settings_in(tmp_path, BATCH_JOBS_ENABLED="false", AUTH_MODE=mode, JWT_SECRET=secret)
    async with service(settings) as running, running.client(Host="orchestrator.example.org") as client:
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/api/v1/workflows")).status_code in {200, 401}


@pytest.mark.parametrize("enabled", ["true", "false"])
def test_a_start_says_which_names_are_answered(tmp_path: Path, enabled: str) -> None:
    """Also without the console, over a socket."""
    with service_process(tmp_path, CONSOLE_ENABLED=enabled) as process, process.client() as client:
        assert client.get("/health").status_code == 200
        assert client.get("/health", headers={"Host": "evil.example"}).status_code == 421
        process.terminate()
        told = [json.loads(line) for line in process.log.splitlines()]
    [line] = [each for each in told if each.get("event") == "auth"]
    assert line["hosts"] == "localhost and loopback addresses alone; by other names all is answered 421"
