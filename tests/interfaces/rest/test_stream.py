"""``/workflows/{workflowId}/stream`` on a port: every change once, whoever is slow, gone or one too many."""

import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import httpx
import pytest
import uvicorn

from application.workflow_commands import CompleteStep
from config.runtime import bind
from domain import workflow
from domain.event import Event
from domain.workflow import Workflow, item_type, workflow_stream
from interfaces.rest import event_streams
from interfaces.rest.http_protocol import BoundedHttpProtocol
from tests.builders import NOW, metadata
from tests.contract.contract import validate_document
from tests.harness import OTHER_TENANT, TENANT, Service, eventually, service, settings_in
from tests.plain_http import NO_TLS
from tests.projections.test_progress import PLAN
from tests.streams import WORKFLOWS, Sent, sent, taken, watching

pytestmark = pytest.mark.anyio

STEPS = ("risk_analysis", "risk_scoring", "forecast", "recommendation")


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are pytest's."""
        yield


class Served(Service):
    """A service in this process that is served on a port."""

    url: str


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    overlay = {"server": {"max_streams": 4, "max_streams_per_tenant": 3, "max_requests": 3}}
    settings = settings_in(tmp_path, overlay=overlay, BATCH_JOBS_ENABLED="false")
    async with service(settings) as running, on_a_port(running) as served:
        yield served


@asynccontextmanager
async def on_a_port(running: Service) -> AsyncIterator[Served]:
    async with AsyncExitStack() as stack:
        listener = bind("127.0.0.1", 0)
        stack.callback(listener.close)
        config = uvicorn.Config(
            running.container.app, http=BoundedHttpProtocol, lifespan="off", log_config=None, access_log=False
        )
        server = _Server(config)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(server.serve, [listener])
        served = Served(running.container)
        served.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield served
        running.container.streams.stop()
        server.should_exit = True


async def started(served: Served, tenant: str = TENANT) -> str:
    async with served.client(tenant) as client:
        answer = await client.post(WORKFLOWS, json={"opportunityId": "opp-1"})
    return str(answer.json()["workflowId"])


async def answered(served: Served, workflow_id: str, *steps: str) -> None:
    for step in steps:
        await served.container.dispatch(
            CompleteStep(meta=metadata(), workflow_id=workflow_id, step=step, result={"of": step})
        )


async def trail(served: Served, workflow_id: str) -> list[dict[str, Any]]:
    """The audit trail, the oldest first."""
    async with served.client() as client:
        answer = await client.get(f"{WORKFLOWS}/{workflow_id}/events", params={"limit": 200})
    return list(reversed(answer.json()["events"]))


def changes(events: Sequence[Sent]) -> list[dict[str, Any]]:
    """What the changes say, without the end."""
    return [each.data for each in events if each.name == "message"]


async def test_a_workflow_that_has_ended_is_told_from_first_to_last_and_the_stream_is_over(
    served: Served,
) -> None:
    workflow_id = await started(served)
    await answered(served, workflow_id, *STEPS)
    events = await taken(served.url, workflow_id)
    assert changes(events) == await trail(served, workflow_id)
    for each in events[:-1]:
        validate_document("AuditEvent", each.data)
    assert [each.id for each in events[:-1]] == [each.data["version"] for each in events[:-1]]
    assert (events[-1].name, events[-1].id, events[-1].data) == ("end", None, {})


async def test_a_change_is_told_when_it_happens(served: Served) -> None:
    workflow_id = await started(served)
    async with watching(served.url, workflow_id) as answer:
        events = sent(answer)
        for _ in range(5):
            await anext(events)
        for step in STEPS:
            await anyio.sleep(0.2)
            began = time.monotonic()
            await answered(served, workflow_id, step)
            with anyio.fail_after(5):
                assert (await anext(events)).data["data"]["stepType"] == step
            assert time.monotonic() - began < 0.5, "it was woken, not only by its own clock"
        assert (await anext(events)).data["type"] == "workflow.completed"
        assert (await anext(events)).name == "end"


async def test_from_every_change_on_a_client_goes_on_without_gap_or_double(served: Served) -> None:
    workflow_id = await started(served)
    await answered(served, workflow_id, *STEPS)
    whole = changes(await taken(served.url, workflow_id))
    for after in range(len(whole)):
        assert changes(await taken(served.url, workflow_id, after=after)) == whole[after:]
    async with watching(served.url, workflow_id, len(whole)) as answer:
        assert answer.status_code == 204, "a browser does not come again after that"


async def test_what_comes_while_a_client_takes_what_was_is_neither_lost_nor_doubled(served: Served) -> None:
    workflow_id = str(uuid4())
    events = mapped(workflow_id, list(range(100)), 100)
    await append(served, workflow_id, events[:150])
    watched: list[list[Sent]] = []

    async def watch() -> None:
        watched.append(await taken(served.url, workflow_id, len(events)))

    async with anyio.create_task_group() as group:
        for number in range(150, len(events)):
            if number in (150, 170, 190):
                group.start_soon(watch)
            await append(served, workflow_id, [events[number]])
    assert len(watched) == 3
    for each in watched:
        assert [change.id for change in each] == list(range(1, len(events) + 1))


@pytest.mark.parametrize("id", ["x", "-1", "01", "1.5", "999", "9" * 30, "1, 2"])
async def test_what_is_no_change_of_the_workflow_cannot_be_gone_on_from(served: Served, id: str) -> None:
    async with watching(served.url, await started(served), id) as answer:
        assert answer.status_code == 400
        error = (await answer.aread()).decode()
    assert "Last-Event-ID" in error


async def test_another_tenants_workflow_cannot_be_watched(served: Served) -> None:
    workflow_id = await started(served)
    for tenant, id in ((OTHER_TENANT, workflow_id), (TENANT, str(uuid4())), (TENANT, "nonsense")):
        async with watching(served.url, id, tenant=tenant) as answer:
            assert answer.status_code == 404


async def test_there_are_so_many_streams_and_no_more_and_requests_are_answered_beside_them(
    served: Served,
) -> None:
    workflow_id = await started(served)
    others = await started(served, OTHER_TENANT)
    async with AsyncExitStack() as open_streams:

        async def status(id: str, tenant: str = TENANT) -> int:
            answer = await open_streams.enter_async_context(watching(served.url, id, tenant=tenant))
            return answer.status_code

        assert [await status(workflow_id) for _ in range(4)] == [200, 200, 200, 429]
        assert [await status(others, OTHER_TENANT) for _ in range(2)] == [200, 503]
        async with httpx.AsyncClient(
            base_url=served.url, headers={"X-Tenant-ID": TENANT}, verify=NO_TLS
        ) as client:
            assert (await client.get(WORKFLOWS)).status_code == 200

    async def free_again() -> bool:
        async with watching(served.url, workflow_id) as answer:
            return answer.status_code == 200

    await eventually(free_again)


def mapped(workflow_id: str, elements: list[Any], completed: int) -> list[Event]:
    """A workflow that has done something for some of the elements."""
    events = list(
        workflow.start(PLAN, workflow_id=workflow_id, opportunity_id=None, input={"list": elements}, now=NOW)
    )
    state: Workflow | None = None
    for event in events:
        state = workflow.evolve(state, event)
    for item in range(completed):
        assert state is not None
        new = workflow.complete_step(state, step_type=item_type("each", item), result={}, now=NOW)
        for event in new:
            state = workflow.evolve(state, event)
        events += new
    return events


async def append(served: Served, workflow_id: str, events: list[Event]) -> None:
    """Append these events to a workflow, or make one of them."""
    await served.container.stores.event_store.execute(
        workflow_stream(TENANT, workflow_id),
        evolve=workflow.evolve,
        decide=lambda state: events,
        meta=metadata(),
        now=NOW,
    )


async def test_several_thousand_changes_are_told_in_order(served: Served) -> None:
    workflow_id = str(uuid4())
    events = mapped(workflow_id, list(range(2_000)), 2_000)
    await append(served, workflow_id, events)
    with anyio.fail_after(30):
        async with watching(served.url, workflow_id) as answer:
            ids = []
            async for each in sent(answer):
                ids.append(each.id)
                if len(ids) == len(events):
                    break
    assert ids == list(range(1, len(events) + 1))
    assert len(ids) > 4_000


async def test_a_client_that_takes_nothing_is_cut_off(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "SLOW_SECONDS", 0.5)
    workflow_id = str(uuid4())
    await append(served, workflow_id, mapped(workflow_id, ["x" * 5_000] * 4_000, 0))
    host, port = served.url.removeprefix("http://").split(":")
    streams = served.container.streams
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        line = f"GET {WORKFLOWS}/{workflow_id}/stream HTTP/1.1"
        client.sendall(f"{line}\r\nHost: localhost\r\nX-Tenant-ID: {TENANT}\r\n\r\n".encode())

        async def open_streams(many: int) -> bool:
            return streams.open == many

        await eventually(lambda: open_streams(1))
        await eventually(lambda: open_streams(0), seconds=5)
        client.settimeout(5)
        assert _received(client) < 4_000 * 5_000


def _received(client: socket.socket) -> int:
    """How much there is until the connection ends."""
    received = 0
    with suppress(ConnectionResetError):
        while piece := client.recv(65536):
            received += len(piece)
    return received


async def test_silence_is_broken_by_a_heartbeat(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 0.1)
    heartbeats = 0
    with anyio.fail_after(10):
        async with watching(served.url, await started(served)) as answer:
            async for line in answer.aiter_lines():
                heartbeats += line == ": still here"
                if heartbeats == 5:
                    break


async def test_a_client_that_is_gone_frees_its_place(served: Served) -> None:
    workflow_id = await started(served)
    await taken(served.url, workflow_id, 3)

    async def none_open() -> bool:
        return served.container.streams.open == 0

    await eventually(none_open)


async def test_who_asks_for_the_head_alone_goes_on_over_the_same_connection_and_takes_no_place(
    served: Served,
) -> None:
    workflow_id = await started(served)
    one_connection = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(
        base_url=served.url, headers={"X-Tenant-ID": TENANT}, verify=NO_TLS, timeout=5, limits=one_connection
    ) as client:
        for path in (f"{WORKFLOWS}/{workflow_id}/stream", "/api/v1/audit/export"):
            for _ in range(5):
                head = await client.head(path)
                assert (head.status_code, head.content) == (200, b"")
            assert (await client.get(f"{WORKFLOWS}/{workflow_id}")).status_code == 200
        of_another = await client.head(
            f"{WORKFLOWS}/{workflow_id}/stream", headers={"X-Tenant-ID": OTHER_TENANT}
        )
        assert of_another.status_code == 404
    assert served.container.streams.open == 0
