"""What is made of an ``Idempotency-Key`` lies in logs: a repeat that comes after an upgrade is still one."""

from typing import Any

from starlette.requests import Request

from interfaces.rest.idempotency import command_id, digest_of, id_to_make
from interfaces.rest.identity import Caller
from tests.harness import TENANT, USER

CALLER = Caller(TENANT, USER, USER)

APPROVE = "/api/v1/hitl/approvals/0c6c2f0e-33ad-5a54-9d8b-3d8f0c9b6a11/approve"


def asked(path: str, body: dict[str, Any] | None = None, *, query: str = "") -> Request:
    """A request under a key, its body read."""
    request = Request(
        {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"host", b"service"), (b"idempotency-key", b"k")],
        }
    )
    request.state.body = body or {}
    return request


def test_a_digest_is_that_of_before() -> None:
    body = {"opportunityId": "ä", "riskScore": 0.5, "amount": 10, "payload": {"a": [True, None, -7]}}
    assert digest_of(asked(APPROVE), CALLER) == "68f8b9b8340b180f22151bfb4c7e180f"
    assert digest_of(asked(APPROVE, body, query="a=1"), CALLER) == "8bb54bcb1f1845a594179ea7f5bf2927"


def test_a_number_has_one_digest_however_it_is_written() -> None:
    whole = digest_of(asked(APPROVE, {"amount": 100, "payload": {"a": [1, {"b": -7}]}}), CALLER)
    for body in (
        {"amount": 100.0, "payload": {"a": [1.0, {"b": -7}]}},
        {"amount": 1e2, "payload": {"a": [1, {"b": -7.0}]}},
    ):
        assert digest_of(asked(APPROVE, body), CALLER) == whole
    for other in (1.5, "1", True, None):
        body = {"amount": 100, "payload": {"a": [other, {"b": -7}]}}
        assert digest_of(asked(APPROVE, body), CALLER) != whole


def test_ids_are_those_of_before() -> None:
    trigger = "/api/v1/jobs/outcome-sync/trigger"
    for path, command, made in (
        (APPROVE, "f460ad62-bad3-501e-a35b-394dfbb68f7c", "aac39527-cb56-5a34-80db-d360460be188"),
        (trigger, "fa2ba874-2325-5a24-aa41-493841a46012", "6f555351-36fd-5cf8-9eb6-78f490fc104e"),
    ):
        assert command_id(asked(path), CALLER) == command
        assert id_to_make(asked(path), CALLER) == made


def test_the_case_of_an_id_in_the_path_says_nothing_and_that_of_a_name_does() -> None:
    upper = asked(APPROVE.replace("0c6c2f0e", "0C6C2F0E"))
    assert command_id(upper, CALLER) == command_id(asked(APPROVE), CALLER)
    assert id_to_make(upper, CALLER) == id_to_make(asked(APPROVE), CALLER)
    one, another = asked("/api/v1/jobs/Abc/trigger"), asked("/api/v1/jobs/abc/trigger")
    assert id_to_make(one, CALLER) != id_to_make(another, CALLER)
