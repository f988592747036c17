"""What is refused at the edge, and how it is told."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import msgspec
import pytest
from eventsourcing.persistence import StoredEvent

from tests.builders import NOW, metadata
from tests.harness import TENANT, UNKNOWN_ID, USER, Service, eventually, service, settings_in

pytestmark = pytest.mark.anyio

PATH = "/api/v1/hitl/approvals"
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}
MEBIBYTE = 1024 * 1024


def fields(answer: Any) -> set[str]:
    """The fields that an error names."""
    return {detail["field"] for detail in answer.json()["error"]["details"]}


async def test_all_faults_are_told_at_once(behind_gateway: Service) -> None:
    body = {"opportunityId": "", "riskScore": "0.5", "colour": "red", "requestedAt": "yesterday"}
    async with behind_gateway.client() as client:
        answer = await client.post(PATH, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert fields(answer) == {"opportunityId", "riskScore", "amount", "colour", "requestedAt"}


@pytest.mark.parametrize(
    ("path", "body", "field", "message"),
    [
        ("workflows", {"defintion": "x"}, "defintion", "known; did you mean definition?"),
        ("workflows", {"colour": "red"}, "colour", "is not known"),
        ("workflows", {"input": [1]}, "input", "Input should be an object"),
        ("hitl/approvals/decisions", {"decisions": {}}, "decisions", "Input should be an array"),
        ("workflows/bulk", {"filter": {"statuss": "failed"}}, "filter.statuss", "; did you mean status?"),
    ],
)
async def test_a_fault_is_told_in_the_words_of_json_and_with_what_may_have_been_meant(
    behind_gateway: Service, path: str, body: Any, field: str, message: str
) -> None:
    async with behind_gateway.client() as client:
        answer = await client.post(f"/api/v1/{path}", json=body)
    told = {fault["field"]: fault["message"] for fault in answer.json()["error"]["details"]}
    assert told[field].endswith(message)


@pytest.mark.parametrize(
    ("unknown", "told"),
    [
        (99, 99),
        (101, 101),
        (1001, 1),
    ],
)
async def test_of_very_many_faults_the_first_are_told_and_how_many_more_there_are(
    behind_gateway: Service, unknown: int, told: int
) -> None:
    body = DEAL | {f"k{number:06}": 1 for number in range(unknown)}
    async with behind_gateway.client() as client:
        answer = await client.post(PATH, json=body)
    details = answer.json()["error"]["details"]
    assert (answer.status_code, len(details)) == (400, told)
    if unknown > 99:
        assert details[-1]["field"] == "body"
        assert (str(unknown - 100) if told > 1 else "more than 1000") in details[-1]["message"]


async def test_the_name_of_what_is_unknown_is_not_told_in_all_its_length(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        answer = await client.post(PATH, json=DEAL | {"x" * 100_000: 1})
    assert answer.status_code == 400
    assert len(answer.content) < 2_000


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'{"opportunityId": NaN}', 400),
        (b'{"a": 1e999}', 400),
        (b"\xff\xfe", 400),
        (b"[" * 5000, 400),
        (b'{"opportunityId": "' + b"x" * MEBIBYTE + b'"}', 413),
    ],
)
async def test_a_body_that_is_no_use_is_refused(behind_gateway: Service, body: bytes, status: int) -> None:
    async with behind_gateway.client(**{"Content-Type": "application/json"}) as client:
        answer = await client.post(PATH, content=body)
        assert (await client.get(PATH)).json()["total"] == 0
    assert answer.status_code == status


async def test_an_empty_body_is_told_to_be_empty(behind_gateway: Service) -> None:
    async with behind_gateway.client(**{"Content-Type": "application/json"}) as client:
        answer = await client.post(PATH, content=b" \r\n\t")
    details = answer.json()["error"]["details"]
    assert details == [{"field": "body", "message": "not JSON: the body is empty"}]


async def test_without_a_body_what_it_has_to_have_is_told(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        answer = await client.post(PATH)
        decided = await client.post(f"{PATH}/{UNKNOWN_ID}/approve")
    assert (answer.status_code, decided.status_code) == (400, 400)
    details = answer.json()["error"]["details"]
    assert {"opportunityId", "riskScore", "amount"} == {each["field"] for each in details}
    assert [each["field"] for each in decided.json()["error"]["details"]] == ["decidedBy"]


async def test_a_streamed_body_is_cut_off_at_its_limit(behind_gateway: Service) -> None:
    taken = 0

    async def endless() -> Any:
        nonlocal taken
        for _ in range(64):
            taken += 1
            yield b"x" * (MEBIBYTE // 4)

    async with behind_gateway.client(**{"Content-Type": "application/json"}) as client:
        answer = await client.post(PATH, content=endless())
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "", "application/jsonx"])
async def test_another_content_type_is_unsupported(behind_gateway: Service, content_type: str) -> None:
    async with behind_gateway.client(**{"Content-Type": content_type}) as client:
        answer = await client.post(PATH, content=b"{}")
    assert answer.status_code == 415


async def test_json_with_a_charset_is_json(behind_gateway: Service) -> None:
    async with behind_gateway.client(**{"Content-Type": "Application/JSON; charset=utf-8"}) as client:
        answer = await client.post(
            PATH, content='{"opportunityId": "Käse 🧀", "riskScore": 1, "amount": 1}'.encode()
        )
    assert answer.status_code == 201
    assert answer.json()["opportunityId"] == "Käse 🧀"


async def test_numbers_keep_their_form(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        answer = await client.post(PATH, json={**DEAL, "riskScore": 1, "amount": 1234567.89})
        await behind_gateway.caught_up()
        stored = await client.get(answer.headers["location"])
    assert b'"riskScore":1,"amount":1234567.89' in answer.content
    assert stored.content == answer.content


@pytest.mark.parametrize("number", [True, "1", None, 1e16, -1e16])
async def test_a_number_is_a_number_within_bounds(behind_gateway: Service, number: Any) -> None:
    async with behind_gateway.client() as client:
        answer = await client.post(PATH, json={**DEAL, "amount": number})
    assert answer.status_code == 400
    assert fields(answer) == {"amount"}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", {"limit"}),
        ("limit=201", {"limit"}),
        ("limit=ten", {"limit"}),
        ("status=maybe", {"status"}),
        ("colour=red", {"colour"}),
        ("limit=1&limit=2", {"limit"}),
        ("cursor=nonsense", {"cursor"}),
        ("createdAfter=yesterday&status=maybe", {"createdAfter", "status"}),
    ],
)
async def test_a_query_string_is_checked(behind_gateway: Service, query: str, named: set[str]) -> None:
    async with behind_gateway.client() as client:
        answer = await client.get(f"{PATH}?{query}")
    assert answer.status_code == 400
    assert fields(answer) == named


async def test_unknown_routes_and_methods_are_told_in_the_one_shape(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        unknown = await client.get("/api/v1/nothing")
        method = await client.delete(PATH)
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "NOT_FOUND"
    assert method.status_code == 405
    assert method.json()["error"]["code"] == "METHOD_NOT_ALLOWED"
    assert set(method.headers["allow"].replace(" ", "").split(",")) >= {"GET"}
    assert unknown.json()["error"]["requestId"] == unknown.headers["x-request-id"]


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-123", True), ("x" * 129, False), ("new\tline", False), ("", False)]
)
async def test_a_sane_request_id_is_kept(behind_gateway: Service, given: str, kept: bool) -> None:
    async with behind_gateway.client() as client:
        answer = await client.get(PATH, headers={"X-Request-ID": given})
    assert (answer.headers["x-request-id"] == given) is kept
    assert answer.headers["x-request-id"]


async def test_a_correlation_id_goes_into_the_events(behind_gateway: Service) -> None:
    correlation = str(uuid4())
    async with behind_gateway.client() as client:
        made = await client.post(PATH, json=DEAL, headers={"X-Correlation-ID": correlation})
        events = (await client.get(f"{made.headers['location']}/events")).json()["events"]
    assert events[0]["correlationId"] == correlation


async def test_an_id_that_is_no_uuid_is_not_found(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        for path in (f"{PATH}/1", f"{PATH}/%00", f"{PATH}/..%2f", "/api/v1/workflows/x/steps"):
            assert (await client.get(path)).status_code == 404, path
        answer = await client.post(f"{PATH}/nope/approve", json={"decidedBy": USER})
    assert answer.status_code == 404


async def test_an_unexpected_error_says_nothing_of_the_inside(
    behind_gateway: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(behind_gateway.container.stores.documents, "query", broken)
    async with behind_gateway.client() as client:
        answer = await client.get(PATH)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "INTERNAL_ERROR"
    assert "hunter2" not in answer.text
    assert answer.json()["error"]["requestId"] == answer.headers["x-request-id"]


async def test_a_store_that_is_away_is_told_with_a_time_to_retry(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        made = await client.post(PATH, json=DEAL)
        behind_gateway.container.stores.event_store.close()
        answer = await client.post(f"{made.headers['location']}/approve", json={"decidedBy": USER})
        ready = await client.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "STORE_UNAVAILABLE"
    assert int(answer.headers["retry-after"]) > 0
    assert ready.status_code == 503
    assert ready.json()["checks"]["eventStore"]["status"] == "down"


async def test_a_release_that_cannot_read_what_a_newer_one_has_stored_is_not_ready(
    behind_gateway: Service,
) -> None:
    """Its documents no longer follow: an approval would be answered 201 and be in no list."""
    store = behind_gateway.container.stores.event_store
    newer = msgspec.json.encode({"v": 99, "at": NOW, "meta": metadata(), "data": {}})

    async def ready() -> Any:
        async with behind_gateway.client(None) as client:
            answer = await client.get("/ready")
        return answer.json()["checks"]["eventStore"] if answer.status_code == 503 else None

    assert await ready() is None
    stored = StoredEvent(f"{TENANT}/approval/{UNKNOWN_ID}", 1, "approval.requested", newer)
    store._log.recorder.insert_events([stored])
    store.notice(None)
    check = await eventually(ready)
    assert check["status"] == "down"
    assert "a newer release has been at work on the log: approval.requested is stored" in check["detail"]


async def test_more_requests_at_once_than_the_settings_allow_are_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service(settings_in(tmp_path, MAX_REQUESTS="2", BATCH_JOBS_ENABLED="false")) as running:
        store, go_on = running.container.stores.event_store, anyio.Event()
        read_stream = store.read_stream

        async def slow(stream: str, **which: Any) -> object:
            await go_on.wait()
            return await read_stream(stream, **which)

        monkeypatch.setattr(store, "read_stream", slow)
        async with running.client() as client, anyio.create_task_group() as group:
            missing = f"{PATH}/{uuid4()}"
            for _ in range(2):
                group.start_soon(client.get, missing)
            await anyio.wait_all_tasks_blocked()
            refused = await client.get(missing)
            health = await client.get("/health")
            go_on.set()
        async with running.client() as client:
            assert (await client.get(missing)).status_code == 404
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "OVERLOADED"
    assert int(refused.headers["retry-after"]) > 0
    assert health.status_code == 200


async def test_metrics_count_by_the_routes_template(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        made = await client.post(PATH, json=DEAL)
        await client.get(made.headers["location"])
        await client.get("/nothing/here")
        text = (await client.get("/metrics")).text
    assert 'http_requests_total{method="GET",route="/api/v1/hitl/approvals/{id}",status="200"} 1.0' in text
    assert 'http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert 'http_request_duration_seconds_count{method="POST",route="/api/v1/hitl/approvals"} 1.0' in text
    assert 'follower_lag_seconds{follower="outbox"} 0.0' in text
    assert made.json()["id"] not in text
    assert TENANT not in text


async def test_health_says_who_is_there(behind_gateway: Service) -> None:
    async with behind_gateway.client(None) as client:
        health = (await client.get("/health")).json()
        ready = (await client.get("/ready")).json()
    assert health["status"] == "ok"
    assert health["service"] == "workflow-orchestrator"
    assert health["timestamp"].endswith("Z")
    assert ready["status"] == "ready"
    assert ready["checks"]["broker"]["status"] == "off"
    assert {follower["name"] for follower in ready["checks"]["followers"]} >= {"outbox", "hitl_approvals"}
