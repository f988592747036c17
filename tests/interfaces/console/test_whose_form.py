"""A form is only accepted from whom its page was made for: another tab may have signed in somebody else."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.harness import OTHER_TENANT, SYSTEM_TENANT, TENANT, Service, service, settings_in
from tests.interfaces.console.forms import form_with
from tests.interfaces.console.parking import park

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}
JOB = "/console/jobs/risk-snapshot-backfill"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path)) as running:
        yield running


def visitor(running: Service, person: str, tenant: str = TENANT) -> httpx.AsyncClient:
    """An operator whose browser says where its forms come from."""
    told = {"X-User-ID": person, "X-User-Roles": "admin", "Origin": "http://localhost"}
    return running.client(tenant, **told)


async def test_what_was_shown_to_one_person_is_not_decided_by_another(running: Service) -> None:
    async with visitor(running, "ada") as ada, visitor(running, "bob") as bob:
        one = (await ada.post(APPROVALS, json=DEAL, headers={"X-User-ID": "rita"})).json()["id"]
        await running.caught_up()
        form = {**form_with((await ada.get(f"/console/approvals/{one}")).text, "Approve"), "do": "approve"}
        refused = await bob.post(f"/console/approvals/{one}", data=form)
        assert refused.status_code == 409
        assert f"you are now signed in as bob of tenant {TENANT}" in refused.text
        assert "Nothing was changed." in refused.text
        assert (await bob.get(f"{APPROVALS}/{one}")).json()["status"] == "pending"
        assert (await ada.post(f"/console/approvals/{one}", data=form)).status_code == 303
        assert (await ada.get(f"{APPROVALS}/{one}")).json()["decidedBy"] == "ada"


async def test_no_form_is_taken_from_another_person_or_in_another_tenant(running: Service) -> None:
    parked = f"/console/system/parked/{park(running)}"
    for page, button in (
        ("/console/delegations", "Create delegation"),
        ("/console/workflows/start?definition=deal-review", "Start"),
        (JOB, "Trigger run"),
        (JOB, "Pause job"),
        (JOB, "Start backfill"),
        (parked, "Requeue message"),
        (parked, "Discard message"),
    ):
        async with visitor(running, "ada", SYSTEM_TENANT) as ada:
            form = form_with((await ada.get(page)).text, button)
        for person, tenant in (("bob", SYSTEM_TENANT), ("ada", OTHER_TENANT)):
            async with visitor(running, person, tenant) as another:
                refused = await another.post(page, data=form)
            assert refused.status_code == 409, (page, button)
            assert f"{person} of tenant {tenant}" in refused.text, (page, button)
