"""An approvals file that turns bad while the service runs is told where operators look."""

from pathlib import Path
from typing import Any

import pytest

from interfaces.approvals import live
from tests.contract.contract import validate_document
from tests.harness import Service, eventually, service, settings_in

pytestmark = pytest.mark.anyio

GOOD = "tenants: {'*': {groups: {finance: [ada]}}}"


async def told(running: Service) -> tuple[dict[str, Any], str]:
    """What /ready and the metric say."""
    async with running.client(None) as client:

        async def is_ready() -> bool:
            return (await client.get("/ready")).status_code == 200

        await eventually(is_ready)
        ready = await client.get("/ready")
        validate_document("Readiness", ready.json())
        lines = (await client.get("/metrics")).text.splitlines()
    (stale,) = (line for line in lines if line.startswith("approvals_file_stale"))
    return ready.json()["checks"]["approvals"], stale.partition(" ")[2]


async def test_a_file_that_turns_bad_is_told_until_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.0)
    file = tmp_path / "approvals.yaml"
    file.write_text(GOOD)
    async with service(settings_in(tmp_path, APPROVALS_FILE=str(file))) as running:
        assert await told(running) == ({"status": "up"}, "0.0")
        file.write_text("tenants: {acme: {}, '*': {groups: []}}")
        assert await told(running) == (
            {"status": "up", "detail": "the file has 2 faults; what it said before holds"},
            "1.0",
        )
        file.unlink()
        assert await told(running) == (
            {"status": "up", "detail": "the file cannot be read; what it said before holds"},
            "1.0",
        )
        file.write_text(GOOD)
        assert await told(running) == ({"status": "up"}, "0.0")


async def test_without_a_file_there_is_nothing_to_be_wrong(tmp_path: Path) -> None:
    async with service(settings_in(tmp_path)) as running:
        assert await told(running) == ({"status": "off", "detail": "approvals.file is not set"}, "0.0")
