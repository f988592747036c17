"""``Idempotency-Key`` where the path names a job: jobs' names are told apart by case."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from application.backfill_commands import RequestBackfill
from application.job_commands import TriggerJob
from domain.event import Metadata
from domain.values import derived_id
from interfaces.rest.idempotency import digest_of
from interfaces.rest.identity import Caller
from tests.harness import SYSTEM_TENANT, Service, service, settings_in
from tests.interfaces.rest.test_idempotency_kept import asked

pytestmark = pytest.mark.anyio

JOBS = "/api/v1/jobs"
DAYS = {"from": "2026-01-01", "to": "2026-01-03"}
KEY = {"Idempotency-Key": "k", "X-User-ID": "ada"}


@pytest.fixture
async def named_alike(tmp_path: Path) -> AsyncIterator[Service]:
    """A service with two jobs whose names differ in case."""
    jobs = {name: {"cron": "0 3 1 1 *"} for name in ("Abc", "abc")}
    overlay = {"batch_jobs": {"enabled": False, "jobs": jobs}}
    async with service(settings_in(tmp_path, overlay=overlay)) as running:
        yield running


async def triggered(client: httpx.AsyncClient, job: str) -> httpx.Response:
    answer = await client.post(f"{JOBS}/{job}/trigger", headers=KEY)
    assert answer.status_code == 202, answer.text
    return answer


async def filled(client: httpx.AsyncClient, job: str) -> httpx.Response:
    answer = await client.post(f"{JOBS}/{job}/backfills", json=DAYS, headers=KEY)
    assert answer.status_code == 201, answer.text
    return answer


async def test_two_jobs_have_a_run_each_under_one_key(named_alike: Service) -> None:
    async with named_alike.client(SYSTEM_TENANT) as client:
        first = {job: await triggered(client, job) for job in ("Abc", "abc")}
        again = {job: await triggered(client, job) for job in ("Abc", "abc")}
        await named_alike.caught_up()
        assert first["Abc"].json()["runId"] != first["abc"].json()["runId"]
        for job in ("Abc", "abc"):
            assert again[job].content == first[job].content
            listed = (await client.get(f"{JOBS}/{job}/runs")).json()
            assert [each["runId"] for each in listed["runs"]] == [first[job].json()["runId"]]


async def test_two_jobs_have_a_backfill_each_under_one_key(named_alike: Service) -> None:
    async with named_alike.client(SYSTEM_TENANT) as client:
        first = {job: await filled(client, job) for job in ("Abc", "abc")}
        again = {job: await filled(client, job) for job in ("Abc", "abc")}
        assert first["Abc"].json()["id"] != first["abc"].json()["id"]
        for job in ("Abc", "abc"):
            assert first[job].json()["job"] == job
            assert again[job].content == first[job].content


async def test_each_of_two_jobs_is_paused_under_one_key(named_alike: Service) -> None:
    async with named_alike.client(SYSTEM_TENANT) as client:
        for job in ("Abc", "abc"):
            paused = await client.post(f"{JOBS}/{job}/pause", json={"reason": "moot"}, headers=KEY)
            assert paused.json()["paused"], paused.text


def of_before(path: str, body: dict[str, str]) -> tuple[str, Metadata]:
    """What releases made of a key before, that wrote the whole path in lower case."""
    parts = (SYSTEM_TENANT, "POST", path.lower(), "k")
    caller = Caller(SYSTEM_TENANT, "ada")
    meta = Metadata(
        tenant=SYSTEM_TENANT,
        actor="ada",
        correlation_id=derived_id("correlation"),
        command_id=derived_id("idempotency-key", "command", *parts, ""),
        request_digest=digest_of(asked(path, body), caller),
    )
    return derived_id("idempotency-key", "made", *parts), meta


async def test_a_trigger_of_before_is_known_when_it_comes_again(named_alike: Service) -> None:
    run_id, meta = of_before(f"{JOBS}/Abc/trigger", {})
    await named_alike.container.dispatch(TriggerJob(meta=meta, job="Abc", run_id=run_id, metadata={}))
    async with named_alike.client(SYSTEM_TENANT) as client:
        again = await triggered(client, "Abc")
        assert again.json()["runId"] == run_id
        assert again.headers["location"] == f"{JOBS}/Abc/runs/{run_id}"
        assert again.headers["etag"] == '"1"'


async def test_a_backfill_of_before_is_known_when_it_comes_again(named_alike: Service) -> None:
    backfill_id, meta = of_before(f"{JOBS}/Abc/backfills", DAYS)
    starts_at, ends_at = (datetime.fromisoformat(DAYS[end]).replace(tzinfo=UTC) for end in ("from", "to"))
    await named_alike.container.dispatch(
        RequestBackfill(
            meta=meta,
            backfill_id=backfill_id,
            job="Abc",
            starts_at=starts_at,
            ends_at=ends_at,
            form="dates",
            by="ada",
            metadata={},
        )
    )
    async with named_alike.client(SYSTEM_TENANT) as client:
        again = await filled(client, "Abc")
        assert again.json()["id"] == backfill_id
        assert again.headers["location"] == f"{JOBS}/Abc/backfills/{backfill_id}"
        await named_alike.caught_up()
        assert (await client.get(f"{JOBS}/Abc/backfills")).json()["total"] == 1


async def test_a_pause_that_is_repeated_tells_of_a_paused_job_whatever_came_later(
    named_alike: Service,
) -> None:
    async with named_alike.client(SYSTEM_TENANT) as client:
        first = await client.post(f"{JOBS}/abc/pause", json={"reason": "an audit"}, headers=KEY)
        assert (first.status_code, first.json()["paused"]) == (200, True)
        resumed = await client.post(f"{JOBS}/abc/resume")
        assert (resumed.status_code, resumed.json()["paused"]) == (200, False)
        again = await client.post(f"{JOBS}/abc/pause", json={"reason": "an audit"}, headers=KEY)
    assert again.headers["etag"] == first.headers["etag"]
    assert again.content == first.content
