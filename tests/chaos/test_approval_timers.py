"""An approval's reminders, escalation and expiry, across kills: each comes once, none is lost.

What expires while nobody is there is not reminded of any more.
"""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.chaos.conftest import Launch
from tests.chaos.decisions import get, in_thread, until_ready
from tests.harness import ServiceProcess, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

POLICY: dict[str, Any] = {
    "due": "16s",
    "grace": "1s",
    "stages": [
        {
            "name": "finance",
            "approvers": [{"group": "finance", "count": 2}],
            "remindAfter": ["1s", "2s"],
            "escalate": [{"after": "3s", "to": [{"user": "edna"}]}],
        }
    ],
}
GROUPS = 'tenants: {"*": {groups: {finance: [ada, bob]}}}\n'
OF_ONE = {
    ("hitl.approval.reminded", 2),
    ("hitl.approval.escalated", 1),
    ("hitl.approval.expired", 1),
}


@pytest.fixture
def orchestrator(tmp_path: Path, processes: Launch, rabbitmq_url: str) -> ServiceProcess:
    """A service that knows the groups, not started yet."""
    file = tmp_path / "approvals.yaml"
    file.write_text(GROUPS)
    return processes(RABBITMQ_URL=rabbitmq_url, APPROVALS_FILE=str(file))


async def ask(client: httpx.AsyncClient, number: int) -> str:
    """Ask for an approval under the policy; its id."""
    body = {"opportunityId": f"opp-{number}", "riskScore": 1, "amount": 2, "policy": POLICY}
    answer = await client.post("/api/v1/hitl/approvals", json=body)
    assert answer.status_code == 201, answer.text
    approval_id: str = answer.json()["id"]
    return approval_id


def told(crm: Neighbour, approval_id: str) -> set[tuple[str, int]]:
    """How many messages of each type there were of an approval, whatever came twice counted once."""
    ids = {
        (message_type, message["id"])
        for message_type, _ in OF_ONE
        for message in crm.messages(message_type)
        if message["data"]["approvalId"] == approval_id
    }
    return set(Counter(message_type for message_type, _ in ids).items())


async def all_told(crm: Neighbour, asked: list[str]) -> None:
    """Wait until each has been told of what it was to be told."""

    async def there() -> bool:
        return all(told(crm, each) == OF_ONE for each in asked)

    await eventually(there)


async def test_what_falls_due_while_it_is_down_comes_once_after_the_restart(
    orchestrator: ServiceProcess, crm: Neighbour
) -> None:
    await in_thread(orchestrator.start)
    async with orchestrator.async_client() as client:
        asked = [await ask(client, number) for number in range(3)]
    await until_ready(orchestrator)
    orchestrator.kill()
    await anyio.sleep(4)
    await in_thread(orchestrator.start)
    await all_told(crm, asked)
    await until_ready(orchestrator)
    for each in asked:
        approval = await get(orchestrator, f"/hitl/approvals/{each}")
        assert (approval["status"], approval["assignees"]) == ("expired", [])
        assert told(crm, each) == OF_ONE


async def test_kills_while_timers_fire_lose_none_and_make_none_twice(
    orchestrator: ServiceProcess, crm: Neighbour
) -> None:
    dice = random.Random(7)
    await in_thread(orchestrator.start)
    async with orchestrator.async_client() as client:
        asked = [await ask(client, number) for number in range(10)]
    began = anyio.current_time()
    for moment in (1.0, 2.5, 4.0, 17.0):
        await anyio.sleep(max(0, began + moment + dice.uniform(0, 0.3) - anyio.current_time()))
        orchestrator.kill()
        await in_thread(orchestrator.start)
    await all_told(crm, asked)
    for each in asked:
        events = await get(orchestrator, f"/hitl/approvals/{each}/events")
        assert Counter(event["type"] for event in events["events"]) == {
            "approval.requested": 1,
            "approval.reminded": 2,
            "approval.escalated": 1,
            "approval.expired": 1,
        }
