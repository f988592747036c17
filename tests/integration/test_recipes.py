"""Documents that another release has made are named at a start, until somebody has made or compared them."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from config import recipes
from config.commands.rebuild import rebuild
from config.commands.verify import verify
from config.sections import Settings
from domain.lease import Unrivalled
from tests.application.logs import UNVERIFIED
from tests.cosmos import fresh_database
from tests.harness import service, settings_in

pytestmark = pytest.mark.anyio

DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 3}


async def named(settings: Settings) -> list[str]:
    """The containers that a start names."""
    with capture_logs() as said:
        async with service(settings) as running, running.client() as client:
            assert (await client.post("/api/v1/hitl/approvals", json=DEAL)).status_code == 201
            await running.caught_up()
    told: list[Any] = [each for each in said if each["event"] == "documents_of_another_recipe"]
    return [name for each in told for name in each["containers"]]


@pytest.mark.parametrize(
    "documents", ["sqlite", pytest.param("cosmos", marks=[pytest.mark.cosmos, UNVERIFIED])]
)
async def test_documents_of_another_release_are_named_until_they_are_made_or_compared(
    documents: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ: dict[str, Any] = {"BATCH_JOBS_ENABLED": "false"}
    if documents == "cosmos":
        environ |= request.getfixturevalue("cosmos").environ(fresh_database())
    settings = settings_in(tmp_path, **environ)
    assert await named(settings) == [], "a new store"
    assert await named(settings) == []
    monkeypatch.setattr(recipes, "recipe_now", lambda: "of the next release")
    before = await named(settings)
    assert len(before) == 9
    assert "hitl_approvals" in before
    await rebuild(settings, ["hitl_approvals"])
    assert await named(settings) == [name for name in before if name != "hitl_approvals"]
    await verify(settings, [])
    assert await named(settings) == []


async def test_documents_from_before_recipes_were_noted_are_named(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, BATCH_JOBS_ENABLED="false")
    await named(settings)
    async with service(settings) as running:
        positions = running.container.stores.document_positions
        await positions.forget("hitl_approvals", ["recipe"], Unrivalled("hitl_approvals"))
    assert await named(settings) == ["hitl_approvals"]
    assert await named(settings) == ["hitl_approvals"]
