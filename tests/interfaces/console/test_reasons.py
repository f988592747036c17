"""Forms that ask for a reason: Enter in it gives none of the orders that the form has buttons for."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness import SYSTEM_TENANT, Service, service, settings_in
from tests.interfaces.console.parking import park

pytestmark = pytest.mark.anyio

API = "/api/v1"
OPERATOR = {"X-User-ID": "ada", "X-User-Roles": "admin", "Origin": "http://localhost"}
FORMS = re.compile(r'<form method="post".*?</form>', re.DOTALL)
ASKS_WHY = re.compile(r'name="(?:reason|comment)"')
JOB = "/jobs/risk-snapshot-backfill"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path)) as running:
        yield running


async def test_the_first_button_of_a_form_with_a_reason_does_nothing(running: Service) -> None:
    deal = {"opportunityId": "opp-1"}
    days = {"from": "2025-01-01", "to": "2026-01-01"}
    async with running.client(SYSTEM_TENANT, **OPERATOR) as ada:
        facts = {**deal, "riskScore": 0, "amount": 1}
        asked = await ada.post(f"{API}/hitl/approvals", json=facts, headers={"X-User-ID": "rita"})
        workflow = (await ada.post(f"{API}/workflows", json=deal)).json()["workflowId"]
        assert (await ada.post(f"{API}{JOB}/backfills", json=days)).is_success
        await running.caught_up()
        for path, count in {
            "": 1,
            f"/approvals/{asked.json()['id']}": 4,
            f"/workflows/{workflow}": 5,
            JOB: 2,
            f"/system/parked/{park(running)}": 2,
        }.items():
            page = (await ada.get(f"/console{path}")).text
            forms = [form for form in FORMS.findall(page) if ASKS_WHY.search(form)]
            assert len(forms) == count, path
            for form in forms:
                assert form.partition("<button")[2].startswith(" disabled hidden>"), (path, form)
