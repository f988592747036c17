"""As of: what the API says of a thing at a time or in a version is what it answered then."""

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import httpx
import pytest
import yaml
from eventsourcing.persistence import StoredEvent

from application.event_log import EventLog
from application.job_commands import CompleteJobRun, FailJobRun
from config.sections import Settings
from domain.approval import approval_stream
from domain.definition import WorkflowDefinition
from domain.errors import Refusal
from domain.values import derived_id
from infrastructure.sqlite.event_store import sqlite_log_settings
from interfaces.definitions.reader import read_definition
from tests.application import golden
from tests.builders import metadata
from tests.harness import OTHER_TENANT, SYSTEM_TENANT, TENANT, Service, service, settings_in
from tests.neighbours import Names, Neighbour

pytestmark = pytest.mark.anyio

JOB = "reconciliation"
SETTINGS = {
    "batch_jobs": {"jobs": {JOB: {"cron": "0 0 29 2 *", "overlap": "queue_one"}}},
    "followers": {"poll_seconds": 0.05},
}
"""Nothing happens by the clock: an answer is as of any time until somebody does something."""

DEFINITION = """
name: visit
version: 1
steps:
  - {stepType: plan, kind: task, parameters: {queue: visits}, input: {who: input.who}, critical: true}
  - {stepType: allow, kind: approval, after: [plan], input: {riskScore: "`0.9`", amount: "`100000`"}}
"""
_MILLISECOND = 0.0015
"""Events are stamped with whole milliseconds: what happens within the same one is not told apart."""

PEOPLE = ("ann", "bob", "cyd")


@pytest.fixture
def definitions() -> Sequence[WorkflowDefinition]:
    """What the neighbour is told by, beside the contract."""
    return [read_definition(yaml.safe_load(DEFINITION))]


class Answer(NamedTuple):
    """What the API said of a thing once."""

    tenant: str
    path: str
    at: datetime
    body: dict[str, Any]
    tag: str | None


class Life:
    """Does a bit of everything, and remembers what the API answers after each."""

    def __init__(self, running: Service, choose: random.Random) -> None:
        self._running = running
        self._choose = choose
        self._things: dict[str, str] = {f"/jobs/{JOB}": SYSTEM_TENANT}
        self.answers: list[Answer] = []
        self._doings: list[Callable[[], Awaitable[None]]] = [
            self._ask_for_an_approval,
            self._handle_an_approval,
            self._handle_an_approval,
            self._start_a_workflow,
            self._do_a_task,
            self._order_a_workflow,
            self._trigger,
            self._report,
            self._pause_or_resume,
            self._backfill,
        ]

    async def publish_the_definition(self) -> None:
        """What the tenant's workflows do."""
        async with self._running.client() as client:
            put = await client.put(
                "/api/v1/workflow-definitions/visit",
                content=DEFINITION,
                headers={"Content-Type": "application/yaml"},
            )
        assert put.status_code < 300, put.text

    async def live(self, moments: int) -> None:
        """So many things happen."""
        for doing in self._choose.choices(self._doings, k=moments):
            await doing()
            await self._settled()
            for path, tenant in self._things.items():
                answer = await self.ask(tenant, "GET", path)
                at = datetime.now(UTC)
                assert answer.status_code == 200, answer.text
                self.answers.append(Answer(tenant, path, at, answer.json(), answer.headers.get("etag")))
            await anyio.sleep(_MILLISECOND)

    async def one_of_each(self) -> dict[str, str]:
        """An approval, a workflow, a run and a backfill: their paths and tenants."""
        for doing in (self._ask_for_an_approval, self._start_a_workflow, self._trigger, self._backfill):
            await doing()
        return {path: tenant for path, tenant in self._things.items() if path != f"/jobs/{JOB}"}

    async def ask(
        self, tenant: str, method: str, path: str, body: dict[str, Any] | None = None, user: str = "ada"
    ) -> httpx.Response:
        """An answer to a person of a tenant."""
        async with self._running.client(tenant, **{"X-User-ID": user}) as client:
            return await client.request(method, f"/api/v1{path}", json=body)

    async def _settled(self) -> None:
        """Wait until nothing more comes of what has happened."""
        store = self._running.container.stores.event_store
        head = None
        while head != (head := await store.head("log")):
            await self._running.caught_up()

    def _one_of(self, prefix: str) -> str | None:
        known = [path for path in self._things if path.startswith(prefix)]
        return self._choose.choice(known) if known else None

    async def _ask_for_an_approval(self) -> None:
        deal = {"opportunityId": f"opp-{self._choose.randrange(9)}", "riskScore": 0.9, "amount": 90_000}
        made = await self.ask(TENANT, "POST", "/hitl/approvals", deal)
        self._things[f"/hitl/approvals/{made.json()['id']}"] = TENANT

    async def _handle_an_approval(self) -> None:
        path, who = self._one_of("/hitl/approvals/"), self._choose.choice(PEOPLE)
        ways: list[tuple[str, dict[str, Any]]] = [
            ("comments", {"text": "why now?"}),
            ("claim", {}),
            ("release", {}),
            ("reassign", {"to": "cyd", "reason": "away"}),
            ("revise", {"riskScore": 0.8, "amount": 80_000}),
            ("approve", {"decidedBy": who, "comment": "fine"}),
            ("reject", {"decidedBy": who}),
            ("withdraw", {"reason": "too late"}),
        ]
        if path is not None:
            way, body = self._choose.choice(ways)
            user = "ada" if way == "withdraw" else who
            assert (await self.ask(TENANT, "POST", f"{path}/{way}", body, user)).status_code < 500

    async def _start_a_workflow(self) -> None:
        made = await self.ask(TENANT, "POST", "/workflows", {"definition": "visit", "input": {"who": "ann"}})
        self._things[f"/workflows/{made.json()['workflowId']}"] = TENANT

    async def _do_a_task(self) -> None:
        claimed = await self.ask(TENANT, "POST", "/tasks/claim", {"queue": "visits", "workerId": "w"})
        for task in claimed.json()["tasks"]:
            done: dict[str, Any] = {"leaseToken": task["leaseToken"]}
            if self._choose.random() < 0.3:
                await self.ask(TENANT, "POST", f"/tasks/{task['id']}/fail", {**done, "error": "no car"})
            else:
                output = {"on": "2026-12-01"}
                await self.ask(TENANT, "POST", f"/tasks/{task['id']}/complete", {**done, "output": output})

    async def _order_a_workflow(self) -> None:
        path = self._one_of("/workflows/")
        order = self._choose.choice(["cancel", "retry", "pause", "resume"])
        body = {"reason": "not now"} if order in ("cancel", "pause") else {}
        if path is not None:
            assert (await self.ask(TENANT, "POST", f"{path}/{order}", body)).status_code < 500

    async def _trigger(self) -> None:
        made = await self.ask(SYSTEM_TENANT, "POST", f"/jobs/{JOB}/trigger", {"metadata": {"n": 1}})
        self._things[f"/jobs/{JOB}/runs/{made.json()['runId']}"] = SYSTEM_TENANT

    async def _report(self) -> None:
        meta = metadata(tenant=SYSTEM_TENANT)
        failed = FailJobRun(meta=meta, job=JOB, error="no disk")
        with suppress(Refusal):
            await self._running.container.dispatch(
                self._choose.choice([CompleteJobRun(meta=meta, job=JOB), failed])
            )

    async def _pause_or_resume(self) -> None:
        order, body = self._choose.choice([("pause", {"reason": "a freeze"}), ("resume", {})])
        await self.ask(SYSTEM_TENANT, "POST", f"/jobs/{JOB}/{order}", body)

    async def _backfill(self) -> None:
        days = {"from": "2026-01-01", "to": "2026-01-04", "maxActive": 2}
        made = await self.ask(SYSTEM_TENANT, "POST", f"/jobs/{JOB}/backfills", days)
        if made.status_code == 201:
            self._things[f"/jobs/{JOB}/backfills/{made.json()['id']}"] = SYSTEM_TENANT


@pytest.mark.parametrize("seed", range(3))
async def test_what_was_answered_once_is_answered_as_of_then(tmp_path: Path, seed: int) -> None:
    await is_answered_as_of_then(settings_in(tmp_path, overlay=SETTINGS), seed)


@pytest.mark.postgres
@pytest.mark.rabbitmq
async def test_what_was_answered_once_is_answered_as_of_then_on_postgresql(
    tmp_path: Path, postgres_store_url: str, rabbitmq_url: str, names: Names, crm: Neighbour
) -> None:
    stores = {"EVENT_STORE_URL": postgres_store_url, "RABBITMQ_URL": rabbitmq_url}
    settings = settings_in(tmp_path, overlay={**names.overlay(), **SETTINGS}, **stores)
    await is_answered_as_of_then(settings, seed=3)


async def is_answered_as_of_then(settings: Settings, seed: int) -> None:
    """Live a life, and ask again."""
    async with service(settings) as running:
        life = Life(running, random.Random(seed))
        await life.publish_the_definition()
        await life.live(60)
        kinds = {each.path.split("/")[1] for each in life.answers}
        assert kinds == {"hitl", "workflows", "jobs"}
        changed = {(each.path, str(each.body)) for each in life.answers}
        assert len(changed) > 1.5 * len({each.path for each in life.answers})
        for then in life.answers:
            moment = then.at.isoformat().replace("+00:00", "Z")
            again = await life.ask(then.tenant, "GET", f"{then.path}?asOf={moment}")
            assert (again.status_code, again.json()) == (200, then.body)
            assert again.headers.get("etag") == then.tag
            if then.tag not in (None, '"0"'):
                version = then.tag.strip('"')
                assert (await life.ask(then.tenant, "GET", f"{then.path}?asOf={version}")).json() == then.body


async def test_before_there_was_such_a_thing_there_is_none_and_never_another_tenants(tmp_path: Path) -> None:
    async with service(settings_in(tmp_path, overlay=SETTINGS)) as running:
        life = Life(running, random.Random(0))
        await life.publish_the_definition()
        before = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        await anyio.sleep(_MILLISECOND)
        things = await life.one_of_each()
        for path, tenant in things.items():
            assert (await life.ask(tenant, "GET", f"{path}?asOf={before}")).status_code == 404
            assert (await life.ask(tenant, "GET", f"{path}?asOf=9")).status_code == 200
            assert (await life.ask(tenant, "GET", f"{path}?asOf=yesterday")).status_code == 400
            stranger = await life.ask(OTHER_TENANT, "GET", f"{path}?asOf=9")
            assert stranger.status_code == (403 if tenant == SYSTEM_TENANT else 404)
        job = (await life.ask(SYSTEM_TENANT, "GET", f"/jobs/{JOB}?asOf={before}")).json()
        assert (job["openRuns"], job["paused"], "lastRun" in job) == (0, False, False)
        assert (await life.ask(OTHER_TENANT, "GET", f"/jobs/{JOB}?asOf=1")).status_code == 403


async def test_what_earlier_releases_wrote_is_answered_as_of_then_too(tmp_path: Path) -> None:
    requested = {each.version: each for each in golden.load() if each.topic == "approval.requested"}
    approved = {each.version: each for each in golden.load() if each.topic == "approval.approved"}
    assert set(requested) == set(approved) == {1, 2, 3}
    ids = {version: derived_id("written by version", str(version)) for version in requested}
    (tmp_path / "data").mkdir()
    log = EventLog(sqlite_log_settings(tmp_path / "data" / "events.db"))
    for version, id in ids.items():
        states = (each[version].state.replace('"a-1"', f'"{id}"') for each in (requested, approved))
        topics = ("approval.requested", "approval.approved")
        stream = approval_stream(TENANT, id)
        stored = [
            StoredEvent(stream, place, topic, state.encode())
            for place, (topic, state) in enumerate(zip(topics, states, strict=True), 1)
        ]
        log.recorder.insert_events(stored)
    log.close()
    async with service(settings_in(tmp_path, overlay=SETTINGS)) as running:
        await running.caught_up()
        async with running.client(TENANT) as client:
            for id in ids.values():
                path = f"/api/v1/hitl/approvals/{id}"
                pending = (await client.get(path, params={"asOf": "1"})).json()
                assert (pending["status"], pending["amount"]) == ("pending", 250_000)
                decided = await client.get(path, params={"asOf": "2"})
                assert decided.json() == (await client.get(path)).json()
                assert (decided.json()["status"], decided.json()["decidedBy"]) == ("approved", "ann")
