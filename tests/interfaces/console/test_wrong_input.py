"""What nobody types by mistake is told in words, whatever it is, and is no failure of the service's."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from tests.harness import SYSTEM_TENANT, TENANT, Service, service, settings_in

pytestmark = pytest.mark.anyio

DEEP = "[" * 5000 + "]" * 5000
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}
JOB = "/console/jobs/risk-clustering"
RANGE = {"from": "2026-01-01", "to": "2026-01-31"}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        yield running


async def approval(running: Service) -> str:
    """The id of one that Ada asks for, in its second version."""
    async with running.client(**{"X-User-ID": "ada"}) as asking:
        id = str((await asking.post("/api/v1/hitl/approvals", json=DEAL)).json()["id"])
        assert (await asking.post(f"/api/v1/hitl/approvals/{id}/comments", json={"text": "so?"})).is_success
        await running.caught_up()
    return id


@pytest.mark.parametrize(
    ("tenant", "page", "form", "words"),
    [
        (
            TENANT,
            "/console/approvals/{id}",
            {"do": "revise", "seen": "{}", "payload": DEEP},
            "payload: must be JSON",
        ),
        (
            TENANT,
            "/console/workflows/start",
            {"definition": "deal-review", "input.amount": DEEP},
            "amount: must be",
        ),
        (SYSTEM_TENANT, JOB, {"do": "trigger", "input.metadata": DEEP}, "metadata: must be JSON"),
        (
            SYSTEM_TENANT,
            JOB,
            {"do": "plan", **RANGE, "windowDays": "9" * 5000},
            "windowDays: must be a whole number",
        ),
    ],
)
async def test_a_form_with_too_much_in_a_field_is_told_so(
    running: Service, tenant: str, page: str, form: Mapping[str, str], words: str
) -> None:
    path = page.format(id=await approval(running))
    async with running.client(tenant, **{"X-User-ID": "ada", "Origin": "http://localhost"}) as visitor:
        shown = await visitor.post(path, data={**form, "key": "k"})
    assert (shown.status_code, words in shown.text) == (400, True)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"at": "0001-01-01T00:00:00+14:00"}, 400, "at: must be a date and time"),
        ({"at": "9999-12-31T23:59:59-14:00"}, 400, "at: must be a date and time"),
        ({"version": "9"}, 404, "There is no version 9 yet; the newest is 2."),
        ({"version": "1", "at": "2020-01-01T00:00"}, 200, "<h2>State at that time</h2>"),
    ],
)
async def test_a_past_that_there_is_not_is_told_so_and_a_version_goes_before_a_moment(
    running: Service, query: Mapping[str, str], status: int, words: str
) -> None:
    path = f"/console/audit/approval/{await approval(running)}"
    async with running.client(**{"X-User-ID": "ada"}) as visitor:
        shown = await visitor.get(path, params=query)
    assert shown.status_code == status
    assert words.lower() in shown.text.lower()


async def test_a_fault_is_told_once(running: Service) -> None:
    told = {"X-User-ID": "olga", "X-User-Roles": "admin", "Origin": "http://localhost"}
    async with running.client(SYSTEM_TENANT, **told) as olga:
        form = {"do": "plan", "windowDays": "0", "key": "k", **RANGE}
        assert (await olga.post(JOB, data=form)).text.count("windowDays:") == 1
        form = {"definition": "deal-review", "opportunityId": "o" * 999, "key": "k"}
        assert (await olga.post("/console/workflows/start", data=form)).text.count("opportunityId:") == 1


@pytest.mark.parametrize("page", ["/console/approvals/{id}", "/console"])
async def test_whoever_has_no_name_is_told_that_a_decision_needs_one(running: Service, page: str) -> None:
    id = await approval(running)
    async with running.client(Origin="http://localhost") as nobody:
        form = {"do": "approve", "approval": f"{id} sha256:{'0' * 64}", "key": "k"}
        answer = await nobody.post(page.format(id=id), data=form)
    assert (answer.status_code, "the gateway has not sent it" in answer.text) == (400, True)
