"""``Idempotency-Key``: the first answer is given again, though the settings would refuse the request now."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.harness import SYSTEM_TENANT, TENANT, Service, service, settings_in
from tests.interfaces.rest.test_idempotency import APPROVALS, WORKFLOWS, told, under

pytestmark = pytest.mark.anyio

ASKED = [
    (TENANT, APPROVALS, {"opportunityId": "opp-1", "riskScore": 1, "amount": 2, "policy": "big"}, 400),
    (TENANT, WORKFLOWS, {"opportunityId": "opp-1", "definition": "call-back"}, 409),
    (SYSTEM_TENANT, "/api/v1/jobs/nightly/trigger", {"metadata": {"a": 1}}, 404),
    (SYSTEM_TENANT, "/api/v1/jobs/nightly/backfills", {"from": "2026-01-01", "to": "2026-01-03"}, 404),
]
CALL = {"stepType": "call", "kind": "task", "parameters": {"queue": "calls"}}
CALL_BACK = {"name": "call-back", "version": 1, "steps": [CALL]}
NIGHTLY = {"nightly": {"cron": "0 1 * * *"}}


@asynccontextmanager
async def running_in(folder: Path, policy: str, jobs: dict[str, Any]) -> AsyncIterator[Service]:
    file = folder / "approvals.yaml"
    stages = [{"name": "board", "approvers": [{"user": "ada"}]}]
    file.write_text(yaml.safe_dump({"tenants": {"*": {"policies": {policy: {"stages": stages}}}}}))
    overlay = {"approvals": {"file": str(file)}, "batch_jobs": {"jobs": jobs}}
    async with service(settings_in(folder, overlay=overlay, BATCH_JOBS_ENABLED="false")) as running:
        yield running


async def answers_of(running: Service, key: str) -> list[httpx.Response]:
    answers = []
    for tenant, path, body, _ in ASKED:
        async with running.client(tenant, **{"X-User-ID": "ann"}) as client:
            answers.append(await client.post(path, json=body, headers=under(key)))
    return answers


async def test_what_was_made_is_told_again_though_the_settings_have_no_place_for_it_any_more(
    tmp_path: Path,
) -> None:
    path = "/api/v1/workflow-definitions/call-back"
    async with running_in(tmp_path, "big", NIGHTLY) as running, running.client() as client:
        assert (await client.put(path, json=CALL_BACK)).is_success
        first = await answers_of(running, "k")
        assert [each.status_code for each in first] == [201, 202, 202, 201]
    async with running_in(tmp_path, "large", {}) as running, running.client() as client:
        assert (await client.delete(path)).is_success
        assert [told(each) for each in await answers_of(running, "k")] == [told(each) for each in first]
        refused = [each.status_code for each in await answers_of(running, "another")]
    assert refused == [status for *_, status in ASKED]
