"""``If-Match`` where a stream is shared: by all delegations, and by a job's runs."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.contract.contract import operations, validate_answer
from tests.harness import SYSTEM_TENANT, Service, eventually

pytestmark = pytest.mark.anyio

OPERATIONS = {each.id: each for each in operations()}
PATH = "/api/v1/hitl/delegations"
JOB = "/api/v1/jobs/risk-snapshot-backfill"
TRIGGER = f"{JOB}/trigger"
SLOW = {"reason": "slow"}


async def delegated(client: httpx.AsyncClient, to: str) -> httpx.Response:
    ends_at = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    made = await client.post(PATH, json={"to": to, "endsAt": ends_at})
    assert made.status_code == 201, made.text
    return made


async def is_published(client: httpx.AsyncClient, run: str) -> bool:
    return bool((await client.get(run)).json()["status"] == "published")


async def test_a_delegation_is_ended_at_the_version_that_it_is_at(behind_gateway: Service) -> None:
    async with behind_gateway.client(**{"X-User-ID": "ada"}) as client:
        made = await delegated(client, "bob")
        await delegated(client, "cleo")
        path = made.headers["location"]
        stale = await client.delete(path, headers={"If-Match": '"77"'})
        others = await client.delete(path, headers={"If-Match": '"2"'})
        read = await client.get(path)
        seen = {"If-Match": read.headers["etag"], "Idempotency-Key": "end"}
        ended = await client.delete(path, headers=seen)
        repeated = await client.delete(path, headers=seen)
    for answer in (stale, others, ended, repeated):
        validate_answer(OPERATIONS["endDelegation"], answer)
    assert read.headers["etag"] == made.headers["etag"] == '"1"', "another's is no change of it"
    assert [each.status_code for each in (stale, others, ended, repeated)] == [412, 412, 200, 200]
    assert stale.json()["error"]["details"] == {"version": 1}
    assert repeated.headers["etag"] == ended.headers["etag"] == '"3"'


async def test_a_job_is_triggered_at_the_version_that_was_seen(behind_gateway: Service) -> None:
    async with behind_gateway.client(SYSTEM_TENANT, **{"X-User-ID": "ada"}) as client:
        never = await client.post(TRIGGER, headers={"If-Match": '"1"'})
        first = await client.post(TRIGGER)
        run = first.headers["location"]
        await eventually(lambda: is_published(client, run))  # which is a version too
        stale = await client.post(TRIGGER, headers={"If-Match": '"55"'})
        paused = await client.post(TRIGGER.replace("trigger", "pause"), json={"reason": "slow"})
        seen = {"If-Match": paused.headers["etag"], "Idempotency-Key": "again"}
        again = await client.post(TRIGGER, headers=seen)
        repeated = await client.post(TRIGGER, headers=seen)
    for answer in (never, first, stale, again, repeated):
        validate_answer(OPERATIONS["triggerJob"], answer)
    assert [each.status_code for each in (never, first, stale)] == [412, 202, 412]
    assert [each.status_code for each in (again, repeated)] == [202, 202]
    assert repeated.json() == again.json()


async def test_a_job_tells_its_version_also_where_nothing_has_happened_to_it(
    behind_gateway: Service,
) -> None:
    async with behind_gateway.client(SYSTEM_TENANT, **{"X-User-ID": "ada"}) as client:
        untouched = await client.get(JOB)
        stale = await client.post(f"{JOB}/pause", json=SLOW, headers={"If-Match": '"1"'})
        seen = {"If-Match": untouched.headers["etag"]}
        paused = await client.post(f"{JOB}/pause", json=SLOW, headers=seen)
        read = await client.get(JOB)
        again = await client.post(f"{JOB}/resume", headers=seen)
        resumed = await client.post(f"{JOB}/resume", headers={"If-Match": read.headers["etag"]})
        triggered = await client.post(TRIGGER, headers={"If-Match": resumed.headers["etag"]})
        then = [await client.get(JOB, params={"asOf": version}) for version in (1, 2)]
        before = await client.get(JOB, params={"asOf": "2020-01-01T00:00:00Z"})
    for answer in (untouched, read, before, *then):
        validate_answer(OPERATIONS["getJob"], answer)
    assert untouched.headers["etag"] == before.headers["etag"] == '"0"'
    assert [each.status_code for each in (stale, again)] == [412, 412]
    assert [each.json()["error"]["details"]["version"] for each in (stale, again)] == [0, 1]
    assert [each.status_code for each in (paused, resumed, triggered)] == [200, 200, 202]
    assert read.headers["etag"] == paused.headers["etag"] == '"1"'
    assert [each.headers["etag"] for each in then] == ['"1"', '"2"']
    assert [each.json()["paused"] for each in then] == [True, False]


async def test_no_other_thing_is_at_the_version_before_its_first(behind_gateway: Service) -> None:
    async with behind_gateway.client(**{"X-User-ID": "ada"}) as client:
        path = (await delegated(client, "bob")).headers["location"]
        stale = await client.delete(path, headers={"If-Match": '"0"'})
        step = {"stepType": "call", "kind": "task", "resultKey": "called", "parameters": {"queue": "calls"}}
        unknown = await client.put(
            "/api/v1/workflow-definitions/new",
            json={"name": "new", "steps": [step]},
            headers={"If-Match": '"0"'},
        )
    assert (stale.status_code, stale.json()["error"]["details"]) == (412, {"version": 1})
    assert unknown.status_code == 404, unknown.text


async def test_what_has_no_version_yet_says_so(behind_gateway: Service) -> None:
    async with behind_gateway.client(**{"X-User-ID": "ada"}) as client:
        refused = await client.post(
            PATH, json={"to": "bob", "endsAt": "2099-01-01T00:00:00Z"}, headers={"If-Match": '"1"'}
        )
    validate_answer(OPERATIONS["createDelegation"], refused)
    (told,) = refused.json()["error"]["details"]
    assert told["field"] == "If-Match"
    assert told["message"].startswith("is not supported here")
