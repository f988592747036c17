"""The gateway's own configuration in a real nginx, in front of instances that come and go."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from pydantic import TypeAdapter

from interfaces.fields import WaitSeconds
from interfaces.rest.requests import MAX_BODY_BYTES
from tests.deploy.files import OPENAPI
from tests.deploy.gateway import CONFIG, Gateway, gateway
from tests.harness import TENANT, ServiceProcess, service_process
from tests.plain_http import NO_TLS

APPROVALS = "/api/v1/hitl/approvals"
ASKED = {"opportunityId": "opp-1", "riskScore": 0.9, "amount": 1}
REQUESTS = 8


@pytest.fixture
def instances(tmp_path: Path) -> Iterator[list[ServiceProcess]]:
    """Two services, each with stores of its own, so that it shows who has answered."""
    with ExitStack() as stack:
        folders = [tmp_path / name for name in ("one", "other")]
        for folder in folders:
            folder.mkdir()
        yield [stack.enter_context(service_process(folder)) for folder in folders]


@pytest.fixture
def running(tmp_path: Path, instances: list[ServiceProcess]) -> Iterator[Gateway]:
    """The gateway in front of them."""
    with gateway(tmp_path / "gateway", *(each.port for each in instances)) as each:
        yield each


@pytest.fixture
def client(running: Gateway) -> Iterator[httpx.Client]:
    """A client of a tenant, through the gateway."""
    with httpx.Client(
        base_url=running.url, headers={"X-Tenant-ID": TENANT}, timeout=10, verify=NO_TLS
    ) as each:
        yield each


def knows(instance: ServiceProcess, approval_id: str) -> bool:
    """Whether it is this one that has been asked for an approval."""
    with instance.client() as client:
        return client.get(f"{APPROVALS}/{approval_id}").status_code == 200


def test_requests_go_to_both_with_their_tenant(client: httpx.Client, instances: list[ServiceProcess]) -> None:
    ids = []
    for _ in range(REQUESTS):
        answer = client.post(APPROVALS, json=ASKED)
        assert (answer.status_code, answer.json()["tenantId"]) == (201, TENANT)
        ids.append(answer.json()["id"])
    assert [sum(knows(each, id) for id in ids) for each in instances] == [REQUESTS / 2] * 2


def test_no_request_is_lost_while_one_instance_is_gone_and_a_word_is_said_when_both_are(
    client: httpx.Client, instances: list[ServiceProcess]
) -> None:
    instances[0].kill()
    for _ in range(REQUESTS):
        answer = client.post(APPROVALS, json=ASKED)
        assert answer.status_code == 201
        assert client.get(f"{APPROVALS}/{answer.json()['id']}").status_code == 200
    instances[1].kill()
    answer = client.post(APPROVALS, json=ASKED)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "GATEWAY_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    for path in ("/console", "/console/workflows"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert "<h1>Temporarily unavailable</h1>" in answer.text
        assert int(answer.headers["retry-after"]) > 0
    assert client.get("/gateway").status_code == 204


def test_the_contract_goes_through_and_the_inside_does_not(client: httpx.Client) -> None:
    paths = [path for path in OPENAPI["paths"] if "{" not in path]
    through = {path for path in paths if client.get(path).headers.get("x-request-id")}
    assert {path for path in paths if path not in through} == {"/ready", "/metrics"}
    assert client.get("/docs/swagger-ui.css").status_code == 200
    assert client.get("/metrics").json()["error"]["code"] == "NOT_FOUND"
    assert client.get("/").status_code == 404


def test_the_console_goes_through_with_its_forms_and_no_others(client: httpx.Client) -> None:
    page = client.get("/console")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert client.get("/console/static/console.css").status_code == 200
    form = {"do": "delegate", "to": "bob", "key": "k"}
    for origin, status in ((str(client.base_url), 400), ("http://elsewhere.example", 403)):
        sent = client.post("/console/delegations", data=form, headers={"Origin": origin})
        assert sent.status_code == status, sent.text


def test_faults_are_told_as_the_service_tells_them(
    client: httpx.Client, instances: list[ServiceProcess]
) -> None:
    largest, larger = (b" " * (MAX_BODY_BYTES + more) for more in (0, 1))
    as_json = {"Content-Type": "application/json"}
    assert client.post(APPROVALS, content=largest, headers=as_json).status_code == 400
    refused = client.post(APPROVALS, content=larger, headers=as_json)
    with instances[0].client() as directly:
        by_itself = directly.post(APPROVALS, content=larger, headers=as_json)
    assert refused.status_code == by_itself.status_code == 413
    assert refused.json()["error"].items() <= by_itself.json()["error"].items()
    assert client.get("/api/v1/nothing").json()["error"]["requestId"]


PATIENCE_WITH_STORES_SECONDS = 20


def test_it_waits_longer_than_any_answer_takes() -> None:
    wait = TypeAdapter(WaitSeconds).json_schema()["maximum"]
    (waits,) = re.findall(r"proxy_read_timeout (\d+)s;", CONFIG.read_text())
    assert int(waits) > wait + PATIENCE_WITH_STORES_SECONDS


@contextmanager
def hanging_up_once() -> Iterator[int]:
    """The port of an instance that hangs up on its first request, and answers each later one with 204."""
    seen: list[str] = []

    class Instance(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            if len(seen) > 1:
                self.send_response(204)
                self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Instance)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_one_answer_that_fails_is_no_reason_to_send_everybody_away(tmp_path: Path) -> None:
    with (
        hanging_up_once() as one,
        hanging_up_once() as other,
        gateway(tmp_path / "gateway", one, other) as running,
    ):
        answers = [httpx.post(f"{running.url}/api/v1/tasks/claim", verify=NO_TLS) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 503, 204, 204]
