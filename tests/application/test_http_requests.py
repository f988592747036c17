"""What an ``http`` step asks for, and that no input leads anywhere else."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.http_requests import BadRequest, request_of
from application.ports import HttpRequest, StepCall
from tests.builders import CORRELATION, NOW, TENANT, metadata


def call(parameters: dict[str, Any], input: dict[str, Any] | None = None, **changes: Any) -> StepCall:
    plain = StepCall(
        id="call-1",
        service="risk_analytics",
        workflow_id="w-1",
        step_id="step-1",
        step_type="score",
        attempt=1,
        parameters={"service": "risk_analytics", **parameters},
        input=input or {},
        dispatched_at=NOW,
        deadline_at=None,
        meta=metadata(),
    )
    return msgspec.structs.replace(plain, **changes)


def made(parameters: dict[str, Any], input: dict[str, Any] | None = None, **changes: Any) -> HttpRequest:
    return request_of(call(parameters, input, **changes))


def test_placeholders_are_filled_from_the_input() -> None:
    request = made({"method": "GET", "path": "/v1/{a}/x/{b}"}, {"a": "o-1", "b": 7})
    assert (request.method, request.path, request.query, request.body) == ("GET", "/v1/o-1/x/7", "", None)


def test_a_value_is_one_segment_whatever_it_holds() -> None:
    assert made({"path": "/v1/{a}"}, {"a": "ü &?#%2F;x"}).path == "/v1/%C3%BC%20%26%3F%23%252F%3Bx"


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "a/b", "/", "../x", "a\\b", "a\nb", "\x00", "\ud800", None, [], {}, ["a"], {"a": 1}],
)
def test_a_value_that_could_lead_elsewhere_makes_no_request(value: Any) -> None:
    with pytest.raises(BadRequest):
        made({"path": "/v1/{a}"}, {"a": value})


def test_a_value_that_is_missing_makes_no_request() -> None:
    with pytest.raises(BadRequest, match=r"^a goes into the path"):
        made({"path": "/v1/{a}"})


@pytest.mark.parametrize(
    "template",
    [
        "v1",
        "",
        "//{a}/..",
        "/v1/../x",
        "/v1/%2e%2E/x",
        "/a b",
        "/a#b",
        "/a?b=#",
        "/a?b=c d",
        "/a\\b",
        "/.{a}",
        "/ü",
    ],
)
def test_a_path_that_is_none_makes_no_request(template: str) -> None:
    with pytest.raises(BadRequest):
        made({"path": template}, {"a": "."})


@given(st.text())
def test_no_text_adds_or_takes_away_a_segment(text: str) -> None:
    try:
        path = made({"path": "/v1/{a}/end"}, {"a": text}).path
    except BadRequest:
        return
    assert path.startswith("/v1/")
    assert path.endswith("/end")
    assert len(path.split("/")) == 4
    assert path.split("/")[2] not in ("", ".", "..")
    assert not set(path) & set("?#\\ \r\n")


def test_the_query_names_what_is_there() -> None:
    request = made(
        {"path": "/v1", "query": ["a", "b", "c", "d"]}, {"a": "x&y=z", "b": None, "c": [1, "two"], "d": True}
    )
    assert request.query == "a=x%26y%3Dz&c=1&c=two&d=true"


def test_the_path_may_bring_a_query() -> None:
    request = made({"path": "/v1/{a}?full=true&b={b}", "query": ["c"]}, {"a": "x", "b": "1&e=/?", "c": 3})
    assert (request.path, request.query) == ("/v1/x", "full=true&b=1%26e%3D%2F%3F&c=3")


def test_an_object_does_not_go_into_the_query() -> None:
    with pytest.raises(BadRequest, match=r"^a goes into"):
        made({"path": "/v1", "query": ["a"]}, {"a": {"b": 1}})


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_what_is_not_elsewhere_is_the_body(method: str) -> None:
    request = made(
        {"method": method, "path": "/v1/{a}", "query": ["b"]}, {"a": "1", "b": 2, "c": [3], "d": {"e": None}}
    )
    assert msgspec.json.decode(request.body or b"") == {"c": [3], "d": {"e": None}}


def test_all_means_what_is_not_elsewhere_for_every_method() -> None:
    request = made({"method": "DELETE", "path": "/v1/{a}", "body": "all"}, {"a": "1", "b": 2})
    assert request.body == b'{"b":2}'


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_other_methods_have_a_body_only_where_the_definition_says_so(method: str) -> None:
    assert made({"method": method, "path": "/v1"}, {"a": 1}).body is None
    assert made({"method": method, "path": "/v1", "body": ["a", "b"]}, {"a": 1}).body == b'{"a":1,"b":null}'


def test_an_empty_list_means_no_body() -> None:
    assert made({"method": "POST", "path": "/v1", "body": []}, {"a": 1}).body is None


def test_an_unknown_method_makes_no_request() -> None:
    with pytest.raises(BadRequest, match="CONNECT"):
        made({"method": "CONNECT", "path": "/v1"})


def test_the_headers_say_for_whom_and_what_for() -> None:
    headers = made({"path": "/v1"}).headers
    assert {name: headers[name] for name in headers if name != "Idempotency-Key"} == {
        "X-Tenant-ID": TENANT,
        "X-Correlation-ID": CORRELATION,
        "X-Workflow-ID": "w-1",
        "X-Step-ID": "step-1",
    }


def test_an_id_cannot_smuggle_a_header() -> None:
    headers = made({"path": "/v1"}, workflow_id="w\r\nX-Evil: 1", meta=metadata(correlation_id="ü\n")).headers
    assert headers["X-Workflow-ID"] == "w??X-Evil: 1"
    assert headers["X-Correlation-ID"] == "??"


def key(parameters: dict[str, Any], input: dict[str, Any], **changes: Any) -> str:
    return made({"method": "POST", "path": "/v1/{a}", **parameters}, input, **changes).headers[
        "Idempotency-Key"
    ]


def test_the_key_is_the_same_for_every_attempt() -> None:
    keys = {key({}, {"a": "1", "b": 2}, attempt=attempt, id=f"call-{attempt}") for attempt in (1, 2, 3)}
    assert len(keys) == 1


def test_another_step_or_another_request_has_another_key() -> None:
    plain = key({}, {"a": "1", "b": 2})
    assert plain != key({}, {"a": "1", "b": 2}, step_id="step-2")
    assert plain != key({}, {"a": "1", "b": 3})
    assert plain != key({}, {"a": "2", "b": 2})
    assert plain != key({"method": "PUT"}, {"a": "1", "b": 2})


def test_what_is_undone_once_more_has_another_key_and_the_first_time_that_of_earlier_releases() -> None:
    keys = [key({}, {"a": "1", "b": 2}, done_again=often) for often in (0, 1, 2)]
    assert len(set(keys)) == 3
    assert keys[0] == "40d73e43-12c4-59b8-af28-6d6568b431b5", "a call may be under way while it is upgraded"
