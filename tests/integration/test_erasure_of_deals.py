"""An erasure of a deal reaches what its streams say without naming it."""

from pathlib import Path

import pytest
from httpx import AsyncClient

from config.commands.erase import erase
from tests.archives import API, posted
from tests.harness import TENANT, eventually, service, settings_in

pytestmark = pytest.mark.anyio

DEFINITION = {
    "name": "call-back",
    "version": 1,
    "steps": [
        {
            "stepType": "call",
            "kind": "task",
            "parameters": {"queue": "calls"},
            "input": {"customerName": "input.customerName"},
        }
    ],
}
NAMES = ("Mr. Asked", "Mr. Revised", "Mr. Called")


async def test_what_names_no_deal_goes_with_the_deal_of_its_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_in(tmp_path, overlay={"privacy": {"fresh_seconds": 0.1}})
    async with service(settings) as running, running.client(**{"X-User-ID": "ada"}) as client:
        assert (await client.put(f"{API}/workflow-definitions/call-back", json=DEFINITION)).is_success
        for deal in ("opp-1", "opp-2"):
            asked = {"riskScore": 0.8, "amount": 1, "payload": {"customerName": NAMES[0]}}
            id = (await posted(client, "/hitl/approvals", {"opportunityId": deal, **asked}))["id"]
            revised = {"payload": {"customerName": NAMES[1]}}
            await posted(client, f"/hitl/approvals/{id}/revise", revised)
            given = {"definition": "call-back", "opportunityId": deal, "input": {"customerName": NAMES[2]}}
            await posted(client, "/workflows", given)

        async def offered() -> bool:
            return bool((await client.get(f"{API}/tasks")).json()["total"] == 2)

        await eventually(offered)
        await running.caught_up()
        before = await counted(client)
    assert all(any(names.values()) for names in before.values())
    await erase(settings, TENANT, "opportunity:opp-1", None, dry_run=True, again=False)
    told = capsys.readouterr().out
    assert ("/approval/" in told, "/task/" in told) == (True, True)
    await erase(settings, TENANT, "opportunity:opp-1", None, dry_run=False, again=False)
    async with service(settings) as running, running.client() as client:
        await running.caught_up()
        after = await counted(client)
    assert after == {
        path: {name: times / 2 for name, times in names.items()} for path, names in before.items()
    }, "the other deal's are there"


async def counted(client: AsyncClient) -> dict[str, dict[str, float]]:
    """How often each name is told by each list."""
    found = {}
    for path in ("/hitl/approvals", "/workflows", "/tasks"):
        listed = (await client.get(f"{API}{path}", params={"limit": 100})).text
        found[path] = {name: float(listed.count(name)) for name in NAMES}
    return found
