"""The inbox as its forms and links are answered, without a browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.harness import Service, service, settings_in
from tests.interfaces.slow_documents import SlowDocuments

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        yield running


def visitor(running: Service, person: str = "ada") -> httpx.AsyncClient:
    """Somebody whose browser says where its forms come from."""
    return running.client(**{"X-User-ID": person, "Origin": "http://service"})


async def test_after_several_decisions_the_inbox_no_longer_has_them(running: Service) -> None:
    async with running.client() as asking, visitor(running) as ada:
        made = [(await asking.post(APPROVALS, json=DEAL)).json() for _ in range(3)]
        await running.caught_up()
        SlowDocuments(running, "hitl_approvals", 0.3)
        chosen = [f"{each['id']} {each['payloadDigest']}" for each in made[:2]]
        form = {"approval": chosen, "do": "approve", "key": "both"}
        shown = await ada.post("/console", data=form, follow_redirects=True)
    assert shown.status_code == 200
    assert shown.text.count('type="checkbox"') == 1
    assert shown.text.count("opp-1</a>: approved") == 2
