"""The whole service on a log in Cosmos DB, where every tenant has an order of its own."""

import base64
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from application.privacy.erasing import Erasing
from config.cosmos import COORDINATION
from config.cosmos_beside import SHARES
from config.settings import Settings
from config.start import CannotStart
from domain.job import JobRunMissed, JobRunsMissed, job_stream
from infrastructure.clock import SystemClock
from infrastructure.cosmos.items import Items
from infrastructure.cosmos.leases import CosmosLeases
from infrastructure.cosmos.positions import position_item
from interfaces.scheduling.cron_commands import CronCommands
from tests.application.logs import UNVERIFIED
from tests.archives import CHILD, PARENT, a_past
from tests.cosmos import Account
from tests.harness import OTHER_TENANT, SYSTEM_TENANT, TENANT, USER, Service, eventually, service, settings_in
from tests.infrastructure.cosmos_places import opened_in, place_in
from tests.neighbours import Names, forget

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, pytest.mark.rabbitmq, UNVERIFIED]

API = "/api/v1"
FULLEST = "event_log_fullest_partition"
KEY = base64.b64encode(bytes(32)).decode()
ASKED = {"opportunityId": "opp-1", "riskScore": 0.9, "amount": 250_000}


SettingsIn = Callable[[Path], Settings]


@pytest.fixture
async def there(cosmos: Account, rabbitmq_url: str, names: Names) -> AsyncIterator[SettingsIn]:
    """Settings of an instance in a folder, all on one database of this test's own."""
    async with place_in(cosmos) as place:

        def settings(folder: Path) -> Settings:
            folder.mkdir(exist_ok=True)
            environ: dict[str, Any] = {
                **cosmos.environ(place.name),
                "EVENT_STORE_URL": "cosmos://",
                "RABBITMQ_URL": rabbitmq_url,
                "PRIVACY_MASTER_KEY": KEY,
            }
            return settings_in(folder, overlay=names.overlay(), **environ)

        yield settings
    await forget(rabbitmq_url, names)


@pytest.fixture
async def running(there: SettingsIn, tmp_path: Path) -> AsyncIterator[Service]:
    async with service(there(tmp_path)) as running:
        yield running


def not_before(answer: httpx.Response) -> dict[str, str]:
    return {"X-Min-Position": answer.headers["x-position"], "Prefer": "wait=20"}


async def test_what_was_just_done_is_read_by_its_tenant_and_by_nobody_else(running: Service) -> None:
    async with running.client(**{"X-User-ID": USER}) as client, running.client(OTHER_TENANT) as other:
        for number in range(1, 4):
            made = await client.post(f"{API}/hitl/approvals", json=ASKED)
            listed = await client.get(f"{API}/hitl/approvals", headers=not_before(made))
            assert (listed.status_code, listed.json()["total"]) == (200, number)
        theirs = await other.post(f"{API}/hitl/approvals", json=ASKED)
        assert theirs.headers["x-position"].startswith("log-1-"), "an order of its own"
        assert (await other.get(f"{API}/hitl/approvals", headers=not_before(theirs))).json()["total"] == 1
        refused = await other.get(f"{API}/hitl/approvals", headers=not_before(made))
        assert refused.status_code == 400, "it is no position of that tenant's"
        metrics = (await client.get("/metrics")).text
        for container, operation in (("workflow_events", "batch"), ("workflow_keys", "query")):
            labels = f'{{container="{container}",operation="{operation}"}}'
            assert f"cosmos_request_charge_total{labels}" in metrics
            assert f"cosmos_request_duration_seconds_count{labels}" in metrics
        found = await other.get(f"{API}/hitl/approvals/{made.json()['id']}")
        assert found.status_code == 404


async def test_workflows_with_children_tasks_and_approvals_come_to_their_ends(running: Service) -> None:
    made = await a_past(running)
    async with running.client() as client:
        for id, status in ((made.done, "completed"), (made.failed, "failed"), (made.open, "running")):
            assert (await client.get(f"{API}/workflows/{id}")).json()["status"] == status
        listed = (await client.get(f"{API}/hitl/approvals", params={"status": "rejected"})).json()
        assert {each["id"] for each in listed["approvals"]} == set(made.decided)
    assert all(each.status.failures == 0 for each in running.container.parts.followers)
    assert all(each.status.state == "running" for each in running.container.parts.followers)


async def test_what_no_transaction_takes_is_refused_and_loses_nothing_and_a_map_keeps_within_it(
    running: Service,
) -> None:
    task = {"kind": "task", "parameters": {"queue": "q"}}
    late = [{"stepType": f"s_{number}", "after": ["first"], **task} for number in range(120)]
    wide = {"name": "wide", "steps": [{"stepType": "first", **task}, *late]}
    each = {"stepType": "all", "kind": "map", "map": {"over": "input.all", "each": task, "atOnce": 500}}
    mapped = {"name": "mapped", "steps": [each]}
    async with running.client(**{"X-User-ID": USER}) as client:
        for definition in (wide, mapped):
            path = f"{API}/workflow-definitions/{definition['name']}"
            assert (await client.put(path, json=definition)).status_code == 201
        begun = (await client.post(f"{API}/workflows", json={"definition": "wide"})).json()
        path = f"{API}/workflows/{begun['workflowId']}"
        first = f"{path}/steps/{begun['steps'][0]['stepId']}"
        refused = await client.post(f"{first}/complete", json={"result": {}})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "TOO_MUCH_AT_ONCE")
        still = (await client.get(path)).json()
        assert (still["status"], still["steps"][0]["status"]) == ("running", "running")
        whole = {"definition": "mapped", "input": {"all": list(range(300))}}
        started = await client.post(f"{API}/workflows", json=whole)
        assert started.status_code == 202, started.text


async def test_jobs_are_triggered_and_their_runs_are_read(running: Service) -> None:
    async with running.client(SYSTEM_TENANT) as client:
        made = await client.post(f"{API}/jobs/outcome-sync/trigger", json={})
        assert made.status_code == 202
        runs = (await client.get(f"{API}/jobs/outcome-sync/runs", headers=not_before(made))).json()
        assert [each["id"] for each in runs["runs"]] == [made.json()["id"]]


async def test_each_tenants_trail_is_its_own_and_holds(running: Service) -> None:
    await a_past(running)
    for tenant in (TENANT, OTHER_TENANT):
        async with running.client(tenant) as client:
            head = (await client.get(f"{API}/audit/head")).json()
            trail = (await client.get(f"{API}/audit/events", params={"limit": 200})).json()
            assert head["number"] == trail["total"] == len(trail["events"])
            assert [each["number"] for each in trail["events"]] == list(range(1, head["number"] + 1))
            assert all(each["intact"] for each in trail["events"])
            assert trail["events"][-1]["position"] == head["position"]
            checked = (await client.get(f"{API}/audit/verification", params={"limit": 5000})).json()
            assert (checked["holds"], checked["last"]) == (True, head["number"])
            after = {"after": trail["events"][0]["position"], "limit": 200}
            later = (await client.get(f"{API}/audit/events", params=after)).json()
            assert [each["number"] for each in later["events"]] == list(range(2, head["number"] + 1))


async def test_what_one_instance_is_told_the_other_goes_on_with(there: SettingsIn, tmp_path: Path) -> None:
    async with (
        service(there(tmp_path / "one")) as one,
        service(there(tmp_path / "two")) as two,
        one.client() as here,
        two.client() as other,
    ):
        for client, elsewhere in ((here, other), (other, here)):
            made = await client.post(f"{API}/workflows", json={"opportunityId": "opp-1"})

            async def is_listed(
                elsewhere: httpx.AsyncClient = elsewhere, made: httpx.Response = made
            ) -> bool:
                listed = (await elsewhere.get(f"{API}/workflows")).json()["workflows"]
                return made.json()["workflowId"] in [each["workflowId"] for each in listed]

            await eventually(is_listed, seconds=10)


async def test_after_a_restart_everything_goes_on(there: SettingsIn, tmp_path: Path) -> None:
    async with service(there(tmp_path)) as first, first.client() as client:
        made = await client.post(f"{API}/hitl/approvals", json=ASKED)
        await first.caught_up()
    async with service(there(tmp_path)) as second, second.client() as client:
        path = f"{API}/hitl/approvals/{made.json()['id']}"
        approved = await client.post(
            f"{path}/approve", json={"decidedBy": "ada"}, headers={"X-User-ID": "ada"}
        )
        assert approved.status_code == 200
        assert (await client.get(path, headers=not_before(approved))).json()["status"] == "approved"
        assert all(each.status.failures == 0 for each in second.container.parts.followers)


def count_of(service: Service, name: str) -> int:
    return sum(each.name == name and each.is_following for each in service.container.parts.followers)


async def test_the_metrics_tell_how_full_the_fullest_tenants_partition_is(running: Service) -> None:
    """Read from the order document of each tenant that this process has seen."""

    async def told(client: httpx.AsyncClient) -> dict[str, float]:
        families = text_string_to_metric_families((await client.get("/metrics")).text)
        samples = [sample for family in families for sample in family.samples]
        return {each.name: each.value for each in samples if each.name.startswith(FULLEST)}

    async with running.client(**{"X-User-ID": USER}) as client, running.client(OTHER_TENANT) as other:
        for _ in range(3):
            await client.post(f"{API}/hitl/approvals", json=ASKED)
        await other.post(f"{API}/hitl/approvals", json=ASKED)
        found = await told(client)
        assert found[f"{FULLEST}_events"] == 3, "of one tenant alone"
        assert 3 * 400 < found[f"{FULLEST}_bytes"] < 3 * 3_000
        ratio = found[f"{FULLEST}_bytes"] / (20 * 1024**3)
        assert found[f"{FULLEST}_ratio"] == pytest.approx(ratio, rel=0.1)
        text = (await client.get("/metrics")).text
        assert TENANT not in text
        assert OTHER_TENANT not in text


async def test_two_instances_do_half_each_and_one_that_is_left_does_all(
    there: SettingsIn, tmp_path: Path
) -> None:
    async with service(there(tmp_path / "one")) as one:
        await one.caught_up()
        async with service(there(tmp_path / "two")) as two, two.client() as client:

            async def is_even() -> bool:
                return all(count_of(each, "outbox") == SHARES / 2 for each in (one, two))

            await eventually(is_even)
            assert {each.name: each.state for each in two.container.parts.statuses()}["outbox"] == "running"
            await one.container.parts.finish()

            async def has_taken_over() -> bool:
                return all(each.status.state == "running" for each in two.container.parts.followers)

            await eventually(has_taken_over)
            made = await client.post(f"{API}/workflows", json={"opportunityId": "opp-1"})
            assert made.is_success
            await two.caught_up()


async def test_who_waits_at_one_instance_is_told_of_what_comes_by_the_other(
    there: SettingsIn, tmp_path: Path
) -> None:
    async with (
        service(there(tmp_path / "one")) as one,
        service(there(tmp_path / "two")) as two,
        one.client() as here,
        two.client() as other,
    ):
        for definition in (CHILD, PARENT):
            put = await here.put(f"{API}/workflow-definitions/{definition['name']}", json=definition)
            assert put.is_success
        claimed: list[httpx.Response] = []

        async def wait() -> None:
            wanted = {"queue": "calls", "workerId": "w", "waitSeconds": 20}
            claimed.append(await other.post(f"{API}/tasks/claim", json=wanted))

        async with anyio.create_task_group() as waiting:
            waiting.start_soon(wait)
            await anyio.sleep(0.5)
            began = anyio.current_time()
            assert (await here.post(f"{API}/workflows", json={"definition": "campaign"})).is_success
        assert len(claimed[0].json()["tasks"]) == 1
        assert anyio.current_time() - began < 10


async def test_what_is_erased_reads_so_everywhere(running: Service) -> None:
    stores = running.container.stores
    async with running.client() as client:
        made = await client.post(f"{API}/hitl/approvals", json=ASKED)
        path = f"{API}/hitl/approvals/{made.json()['id']}"
        body = {"decidedBy": "ada", "comment": "quite fine by me"}
        approved = await client.post(f"{path}/approve", json=body, headers={"X-User-ID": "ada"})
        assert (await client.get(path, headers=not_before(approved))).json()["comment"] == "quite fine by me"
        entries = await stores.audit.log.read(TENANT, 0, 100)
        assert not any(b"quite fine by me" in entry.state for entry in entries)

        async def nobody_has_the_key() -> None:
            await anyio.sleep(running.container.settings.privacy.fresh_seconds)

        async def by_the_service(streams: Sequence[str]) -> None: ...

        erasing = Erasing(
            stores.event_store,
            stores.audit.log,
            stores.audit.index,
            stores.personal.keys,
            SystemClock(),
            wait=nobody_has_the_key,
            remake=by_the_service,
        )
        (told,) = await erasing.erase(TENANT, "ada", "asked to")
        assert told.streams == 1

        async def is_erased() -> bool:
            return bool((await client.get(path)).json()["comment"] == "[erased]")

        await eventually(is_erased)
        checked = (await client.get(f"{API}/audit/verification", params={"limit": 5000})).json()
        assert checked["holds"]


async def test_positions_that_lie_as_before_there_were_shares_are_refused(
    cosmos: Account, rabbitmq_url: str, names: Names, tmp_path: Path
) -> None:
    """Else the outbox would publish all that there ever was."""
    async with place_in(cosmos) as place:
        async with opened_in(place) as database:
            await CosmosLeases(database, COORDINATION).create()
            left = position_item("outbox", "outbox", TENANT, "log-7-x-1")
            await Items(database, COORDINATION).put(left)
        environ: dict[str, Any] = {**cosmos.environ(place.name), "EVENT_STORE_URL": "cosmos://"}
        settings = settings_in(tmp_path, RABBITMQ_URL=rabbitmq_url, PRIVACY_MASTER_KEY=KEY, **environ)
        with pytest.raises(CannotStart, match="copy-log"):
            async with service(settings):
                pass


async def test_very_many_missed_firings_are_kept_whatever_a_batch_takes(running: Service) -> None:
    """A batch of Cosmos DB takes a hundred operations: cron stood still on every instance."""
    newest = SystemClock().now().replace(microsecond=0)
    times = [newest - timedelta(minutes=each) for each in range(1_200, 0, -1)]
    firings = CronCommands(running.container.dispatch)
    for _ in range(2):
        await firings.miss("outcome-sync", times)
    events = await running.container.stores.event_store.load(job_stream("outcome-sync"))
    told = [each.event for each in events if isinstance(each.event, JobRunsMissed)]
    missed = [each.event for each in events if isinstance(each.event, JobRunMissed)]
    assert [each.number for each in told] == [200]
    assert [each.nominal_at for each in missed] == times[200:]
