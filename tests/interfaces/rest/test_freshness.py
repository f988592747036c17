"""``X-Min-Position``: a query waits until what it reads has followed the log so far."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import anyio
import httpx
import pytest
from starlette.requests import Request

from domain.errors import StoreUnavailable
from interfaces.rest.freshness import LONGEST_WAIT_SECONDS, WAIT_SECONDS, wait_of
from tests.harness import OTHER_TENANT, SYSTEM_TENANT, Service, service, settings_in
from tests.interfaces.slow_documents import SlowDocuments

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
WORKFLOWS = "/api/v1/workflows"
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}


def not_before(answer: httpx.Response, wait: int | None = None) -> dict[str, str]:
    """The headers of a query that is to see what a command has done."""
    headers = {"X-Min-Position": answer.headers["x-position"]}
    return headers if wait is None else {**headers, "Prefer": f"wait={wait}"}


@pytest.fixture
async def unprojected(tmp_path: Path) -> AsyncIterator[Service]:
    """A service whose documents do not come up to date, with two places."""
    async with service(settings_in(tmp_path, MAX_REQUESTS="2", BATCH_JOBS_ENABLED="false")) as running:
        slow = SlowDocuments(running, None, 60)
        yield running
        slow.released.set()


async def test_what_was_just_written_is_read(behind_gateway: Service) -> None:
    SlowDocuments(behind_gateway, "hitl_approvals", 0.3)
    async with behind_gateway.client() as client:
        for number in range(1, 4):
            made = await client.post(APPROVALS, json=DEAL)
            stale = await client.get(APPROVALS)
            assert stale.json()["total"] == number - 1, "else this test could not fail"
            fresh = await client.get(APPROVALS, headers=not_before(made))
            assert fresh.status_code == 200
            assert fresh.json()["total"] == number


async def test_what_several_decisions_did_is_read_and_who_was_faster_with_another(
    behind_gateway: Service,
) -> None:
    async with behind_gateway.client() as client:
        made = [await client.post(APPROVALS, json=DEAL) for _ in range(3)]
        await behind_gateway.caught_up()
        SlowDocuments(behind_gateway, "hitl_approvals", 0.3)
        ids = [each.json()["id"] for each in made]
        decisions = [{"approvalId": id, "decision": "approve", "decidedBy": "ada"} for id in ids[:2]]
        both = await client.post(f"{APPROVALS}/decisions", json={"decisions": decisions})
        assert (await client.get(APPROVALS, params={"status": "pending"})).json()["total"] == 3
        left = await client.get(APPROVALS, params={"status": "pending"}, headers=not_before(both))
        assert left.json()["total"] == 1
        await client.post(f"{APPROVALS}/{ids[2]}/reject", json={"decidedBy": "bob"})
        late = {"approvalId": ids[2], "decision": "approve", "decidedBy": "ada"}
        refused = await client.post(f"{APPROVALS}/decisions", json={"decisions": [late]})
        assert refused.json()["outcomes"][0]["status"] == 409
        left = await client.get(f"{APPROVALS}/{ids[2]}", headers=not_before(refused))
        assert left.json()["decidedBy"] == "bob"


async def test_decisions_are_told_though_the_log_went_away_behind_them(
    behind_gateway: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(partition: str) -> str:
        raise StoreUnavailable("gone")

    async with behind_gateway.client() as client:
        id = (await client.post(APPROVALS, json=DEAL)).json()["id"]
        monkeypatch.setattr(behind_gateway.container.stores.event_store, "head", away)
        decision = {"approvalId": id, "decision": "approve", "decidedBy": "ada"}
        answer = await client.post(f"{APPROVALS}/decisions", json={"decisions": [decision]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcomes"][0]["approval"]["status"] == "approved"
    assert answer.headers["x-position"].startswith("log-2-"), "behind what was decided"


async def test_what_has_not_come_in_time_is_not_yet(unprojected: Service) -> None:
    async with unprojected.client() as client:
        made = await client.post(APPROVALS, json=DEAL)
        for wait in (0, 1):
            began = time.monotonic()
            answer = await client.get(APPROVALS, headers=not_before(made, wait))
            assert wait <= time.monotonic() - began < wait + 0.8
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "NOT_YET"
            assert answer.headers["retry-after"] == "1"


async def test_nobody_waits_for_a_projection_that_the_route_does_not_read(behind_gateway: Service) -> None:
    slow = SlowDocuments(behind_gateway, "hitl_approvals", 60)
    async with behind_gateway.client() as client:
        made = await client.post(APPROVALS, json=DEAL)
        assert (await client.get(APPROVALS, headers=not_before(made, 0))).status_code == 503
        for path in (WORKFLOWS, f"{made.headers['location']}/events"):
            assert (await client.get(path, headers=not_before(made, 1))).status_code == 200
    slow.released.set()


async def test_a_projection_that_wants_nothing_of_it_is_not_waited_for_until_the_clock_wakes_it(
    tmp_path: Path,
) -> None:
    overlay = {"followers": {"poll_seconds": 60}}
    async with service(settings_in(tmp_path, overlay=overlay)) as running, running.client() as client:
        await running.caught_up()
        made = await client.post(APPROVALS, json=DEAL)
        began = time.monotonic()
        answer = await client.get(WORKFLOWS, headers=not_before(made))
        assert answer.status_code == 200
        assert time.monotonic() - began < 1


async def test_the_beginning_of_the_log_has_been_reached_by_everybody(unprojected: Service) -> None:
    async with unprojected.client() as client:
        answer = await client.get(WORKFLOWS, headers={"X-Min-Position": "log-0"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "position",
    ["", "1", "log", "log-", "log-1", "log-x-000000000000", "log-01-000000000000", "log-" + "9" * 30],
)
async def test_what_is_no_position_is_refused(behind_gateway: Service, position: str) -> None:
    async with behind_gateway.client() as client:
        await client.post(APPROVALS, json=DEAL)
        for path in (APPROVALS, f"{APPROVALS}/{uuid4()}/events"):
            answer = await client.get(path, headers={"X-Min-Position": position})
            assert answer.status_code == 400
            assert [each["field"] for each in answer.json()["error"]["details"]] == ["X-Min-Position"]


async def test_another_logs_position_is_refused(behind_gateway: Service, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with service(settings_in(elsewhere)) as other, other.client() as client:
        answers = [await client.post(APPROVALS, json=DEAL) for _ in range(2)]
    async with behind_gateway.client() as client:
        await client.post(APPROVALS, json=DEAL)
        for theirs in answers:
            answer = await client.get(APPROVALS, headers=not_before(theirs))
            assert answer.status_code == 400, "the same number is another event's there, or nobody's"


async def test_another_tenants_position_tells_nothing_but_where_the_log_is(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client, behind_gateway.client(OTHER_TENANT) as other:
        made = await client.post(APPROVALS, json=DEAL)
        assert (await other.get(APPROVALS, headers=not_before(made))).json()["total"] == 0
        assert (await other.get(made.headers["location"], headers=not_before(made))).status_code == 404


async def test_runs_of_jobs_are_waited_for(behind_gateway: Service) -> None:
    SlowDocuments(behind_gateway, "workflow_job_runs", 0.3)
    async with behind_gateway.client(SYSTEM_TENANT) as client:
        made = await client.post("/api/v1/jobs/outcome-sync/trigger")
        runs = await client.get("/api/v1/jobs/outcome-sync/runs", headers=not_before(made))
        assert [each["id"] for each in runs.json()["runs"]] == [made.json()["id"]]


async def test_a_run_can_be_read_where_its_trigger_says_before_it_has_a_document(
    unprojected: Service,
) -> None:
    async with unprojected.client(SYSTEM_TENANT) as client:
        made = await client.post("/api/v1/jobs/outcome-sync/trigger")
        read = await client.get(made.headers["Location"])
        assert (read.status_code, read.json()["id"]) == (200, made.json()["id"])
        assert (
            await client.get(made.headers["Location"].replace("outcome-sync", "model-monitoring"))
        ).status_code == 404
        assert (await client.get(f"/api/v1/jobs/outcome-sync/runs/{uuid4()}")).status_code == 404


async def test_who_waits_takes_no_place_of_those_who_do_not(unprojected: Service) -> None:
    async with unprojected.client() as client, unprojected.client(OTHER_TENANT) as other:
        made = await client.post(APPROVALS, json=DEAL)
        answers: list[httpx.Response] = []

        async def wait(asking: httpx.AsyncClient) -> None:
            answers.append(await asking.get(APPROVALS, headers=not_before(made, 2)))

        async with anyio.create_task_group() as group:
            group.start_soon(wait, client)
            await anyio.sleep(0.3)
            second = await client.get(APPROVALS, headers=not_before(made, 2))
            assert second.json()["error"]["code"] == "OVERLOADED", "half of the places are for others"
            group.start_soon(wait, other)
            await anyio.sleep(0.3)
            assert (await client.get(APPROVALS)).status_code == 200
        assert [each.json()["error"]["code"] for each in answers] == ["NOT_YET"] * 2
        assert (await client.get(APPROVALS, headers=not_before(made, 0))).json()["error"]["code"] == "NOT_YET"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ([], WAIT_SECONDS),
        (["wait=7"], 7),
        (["respond-async, wait=7"], 7),
        (["respond-async", 'Wait = "7" ; x=y'], 7),
        (["wait=0"], 0),
        (["wait=31"], LONGEST_WAIT_SECONDS),
        (["wait=999999"], LONGEST_WAIT_SECONDS),
        (["wait=-1"], WAIT_SECONDS),
        (["wait=soon"], WAIT_SECONDS),
        (["wait=" + "9" * 400], WAIT_SECONDS),
    ],
)
def test_how_long_a_caller_would_wait(given: list[str], seconds: float) -> None:
    headers = [(b"prefer", each.encode()) for each in given]
    assert wait_of(Request({"type": "http", "headers": headers})) == seconds
