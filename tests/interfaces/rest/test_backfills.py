"""The routes of backfills: who may use them, what they refuse, and what a repeat is answered."""

from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from tests.contract.contract import operations, validate_answer
from tests.harness import SYSTEM_TENANT, TENANT, UNKNOWN_ID, Service

pytestmark = pytest.mark.anyio

JOB = "risk-snapshot-backfill"
BACKFILLS = f"/api/v1/jobs/{JOB}/backfills"
ANOTHER = "/api/v1/jobs/outcome-sync/backfills"
FIVE_DAYS = {"from": "2026-01-01", "to": "2026-01-06"}
OPERATIONS = {each.id: each for each in operations()}
CANCEL = {"reason": "enough"}


def operator(service: Service) -> httpx.AsyncClient:
    """Somebody of the system tenant."""
    return service.client(SYSTEM_TENANT, **{"X-User-ID": "ada"})


async def started(client: httpx.AsyncClient, path: str = BACKFILLS, **headers: str) -> httpx.Response:
    """A backfill of five days that has begun."""
    answer = await client.post(path, json=FIVE_DAYS, headers=headers)
    assert answer.status_code == 201, answer.text
    validate_answer(OPERATIONS["startBackfill"], answer)
    return answer


def fields(answer: httpx.Response) -> list[str]:
    """What a refusal is about."""
    assert answer.status_code == 400, answer.text
    validate_answer(OPERATIONS["startBackfill"], answer)
    return [each["field"] for each in answer.json()["error"]["details"]]


async def test_what_was_started_is_where_it_was_said_to_be(behind_gateway: Service) -> None:
    async with operator(behind_gateway) as client:
        made = await started(client)
        assert made.headers["location"] == f"{BACKFILLS}/{made.json()['id']}"
        read = await client.get(
            made.headers["location"], headers={"X-Min-Position": made.headers["x-position"]}
        )
        listed = await client.get(BACKFILLS, params={"status": "running"})
        completed = await client.get(BACKFILLS, params={"status": "completed"})
    validate_answer(OPERATIONS["getBackfill"], read)
    assert read.json() == made.json()
    assert read.headers["etag"] == made.headers["etag"]
    validate_answer(OPERATIONS["listBackfills"], listed)
    assert listed.json() == {"backfills": [made.json()], "total": 1}
    assert completed.json() == {"backfills": [], "total": 0}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", BACKFILLS, None),
        ("POST", BACKFILLS, FIVE_DAYS),
        ("POST", BACKFILLS, {}),
        ("POST", BACKFILLS, FIVE_DAYS | {"dryRun": True}),
        ("GET", f"{BACKFILLS}/{UNKNOWN_ID}", None),
        ("POST", f"{BACKFILLS}/{UNKNOWN_ID}/cancel", CANCEL),
    ],
)
async def test_another_tenant_than_the_system_one_is_refused(
    behind_gateway: Service, method: str, path: str, body: Any
) -> None:
    async with behind_gateway.client(TENANT) as client:
        answer = await client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "SYSTEM_TENANT_ONLY")


@pytest.mark.parametrize("id", [UNKNOWN_ID, "no-uuid"])
async def test_a_backfill_that_there_is_not_is_not_found(behind_gateway: Service, id: str) -> None:
    async with operator(behind_gateway) as client:
        answers = [
            await client.get(f"{BACKFILLS}/{id}"),
            await client.post(f"{BACKFILLS}/{id}/cancel", json=CANCEL),
        ]
    assert {(each.status_code, each.json()["error"]["code"]) for each in answers} == {
        (404, "BACKFILL_NOT_FOUND")
    }


async def test_a_backfill_is_its_jobs_alone(behind_gateway: Service) -> None:
    async with operator(behind_gateway) as client:
        backfill_id = (await started(client)).json()["id"]
        await behind_gateway.caught_up()
        answers = [
            await client.get(f"{ANOTHER}/{backfill_id}"),
            await client.post(f"{ANOTHER}/{backfill_id}/cancel", json=CANCEL),
        ]
        assert (await client.get(ANOTHER)).json()["total"] == 0
        assert (await client.get(f"{BACKFILLS}/{backfill_id.upper()}")).status_code == 200
    assert {each.status_code for each in answers} == {404}


async def test_a_job_that_there_is_not_has_no_backfills(behind_gateway: Service) -> None:
    path = "/api/v1/jobs/no-such-job/backfills"
    async with operator(behind_gateway) as client:
        answers = [
            await client.get(path),
            await client.post(path, json=FIVE_DAYS),
            await client.post(path, json=FIVE_DAYS | {"dryRun": True}),
            await client.get(f"{path}/{UNKNOWN_ID}"),
        ]
    assert {(each.status_code, each.json()["error"]["code"]) for each in answers} == {(404, "JOB_NOT_FOUND")}


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"to": "2026-01-01"}, ["to"]),
        ({"to": "2025-12-31"}, ["to"]),
        ({"to": "2026-01-06T00:00:00Z"}, ["to"]),
        ({"from": "2026-02-30"}, ["from"]),
        ({"from": "yesterday", "windowDays": 0, "maxActive": 21}, ["from", "windowDays", "maxActive"]),
        ({"to": str(date(2026, 1, 1) + timedelta(days=1001))}, ["windowDays"]),
        ({"metadata": {"from": "2026-01-01"}}, ["metadata.from"]),
        ({"metadata": {"x": "y" * 20_000}}, ["metadata"]),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T06:00:00Z"}, ["metadata.from", "metadata.to"]),
        ({"colour": "red"}, ["colour"]),
    ],
)
async def test_what_cannot_be_backfilled_is_refused_with_every_fault(
    behind_gateway: Service, change: dict[str, Any], told: list[str], dry_run: bool
) -> None:
    async with operator(behind_gateway) as client:
        answer = await client.post(BACKFILLS, json=FIVE_DAYS | change | {"dryRun": dry_run})
        assert fields(answer) == told
        await behind_gateway.caught_up()
        assert (await client.get(BACKFILLS)).json()["total"] == 0


async def test_the_same_request_again_is_answered_as_the_first_time_and_begins_nothing(
    behind_gateway: Service,
) -> None:
    async with operator(behind_gateway) as client:
        first = await started(client, **{"Idempotency-Key": "january"})
        again = await started(client, **{"Idempotency-Key": "january"})
        other = await client.post(
            BACKFILLS, json=FIVE_DAYS | {"maxActive": 2}, headers={"Idempotency-Key": "january"}
        )
        await behind_gateway.caught_up()
        assert (await client.get(BACKFILLS)).json()["total"] == 1
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")


async def test_twenty_unfinished_backfills_are_enough(behind_gateway: Service) -> None:
    async with operator(behind_gateway) as client:
        for _ in range(20):
            await started(client)
        answer = await client.post(BACKFILLS, json=FIVE_DAYS)
        validate_answer(OPERATIONS["startBackfill"], answer)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "TOO_MANY_BACKFILLS")
        dry_run = await client.post(BACKFILLS, json=FIVE_DAYS | {"dryRun": True})
        assert dry_run.status_code == 200
        assert (await client.post(ANOTHER, json=FIVE_DAYS)).status_code == 201


async def test_cancelling_minds_the_version_that_was_seen(behind_gateway: Service) -> None:
    async with operator(behind_gateway) as client:
        made = await started(client)
        path = f"{made.headers['location']}/cancel"
        stale = await client.post(path, json=CANCEL, headers={"If-Match": '"1"'})
        seen = {"If-Match": made.headers["etag"], "Idempotency-Key": "stop"}
        cancelled = await client.post(path, json=CANCEL, headers=seen)
        repeated = await client.post(path, json=CANCEL, headers=seen)
        again = await client.post(path, json={"reason": "another"})
        unreasonable = await client.post(path, json={})
    for answer in (stale, cancelled, repeated, again, unreasonable):
        validate_answer(OPERATIONS["cancelBackfill"], answer)
    assert [each.status_code for each in (stale, cancelled, repeated, again)] == [412, 200, 200, 200]
    shown = cancelled.json()
    assert (shown["status"], shown["cancelledBy"], shown["cancelReason"]) == ("cancelling", "ada", "enough")
    assert repeated.json() == again.json() == shown
    assert unreasonable.status_code == 400


async def test_a_dry_run_says_nothing_of_a_thousand_windows_that_it_would_not_make(
    behind_gateway: Service,
) -> None:
    end = str(date(2026, 1, 1) + timedelta(days=1000))
    async with operator(behind_gateway) as client:
        answer = await client.post(BACKFILLS, json=FIVE_DAYS | {"to": end, "dryRun": True})
    validate_answer(OPERATIONS["startBackfill"], answer)
    told = answer.json()
    assert (told["total"], len({each["runId"] for each in told["runs"]})) == (1000, 1000)
    assert told["runs"][-1]["to"] == end
