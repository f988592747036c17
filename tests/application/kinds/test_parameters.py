"""Each kind's parameters: what it takes, and the fault of what it does not."""

from pathlib import Path
from typing import Any

import pytest

import application.kinds
from application.kinds import KINDS
from application.kinds.http import SERVICES
from config.sections import Neighbour, Services
from domain.definition import Work

Json = dict[str, Any]

HTTP: Json = {"service": "ml_service", "method": "POST", "path": "/api/v1/models/{model}/predictions"}


def faults(kind: str, parameters: Json) -> list[tuple[str, str]]:
    """What the kind says of parameters, each with its field, for a step whose input has two names."""
    input = {"model": "input.model", "amount": "input.amount"}
    work = Work(kind=kind, parameters=parameters, input=input, timeout_seconds=None)
    found = KINDS[kind].faults(work)
    return [(field.removeprefix("parameters").removeprefix("."), told) for field, told in found]


def test_every_module_of_a_kind_is_registered() -> None:
    modules = {path.stem for path in Path(application.kinds.__file__).parent.glob("*.py")}
    assert set(KINDS) == modules - {"__init__", "kind"}
    assert all(kind.name == name for name, kind in KINDS.items())


def test_http_knows_the_services_of_the_settings() -> None:
    configured = {name for name, field in Services.model_fields.items() if field.annotation is Neighbour}
    assert set(SERVICES) == configured


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("event", {"request": "workflow.risk.analysis.requested"}),
        ("event", {"request": "a", "replies": [{"type": "a.done", "result": {"x": "data.x"}}]}),
        ("event", {"request": "a", "replies": [{"type": "a.failed", "failed": True}]}),
        ("event", {"request": "a", "correlation": {"amount": "data.amount"}}),
        ("http", HTTP),
        ("http", HTTP | {"body": "all", "accepted": True}),
        ("http", HTTP | {"accepted": True, "replies": [{"type": "a"}], "correlation": {"amount": "data.x"}}),
        ("http", HTTP | {"body": ["amount"]}),
        ("http", HTTP | {"query": ["amount"], "body": []}),
        ("http", HTTP | {"method": "GET", "path": "/api/v1/models?name={model}&a=b%20c"}),
        ("http", HTTP | {"path": "/"}),
        ("task", {"queue": "contract-reviews.eu_1"}),
        ("approval", {}),
        ("wait", {"seconds": 0.5}),
        ("wait", {"until": "amount"}),
        ("wait", {"event": "contract.signed"}),
        ("wait", {"event": "contract.signed", "correlation": {"amount": "data.deal.amount"}}),
        ("workflow", {"definition": "other"}),
        ("workflow", {"definition": "other", "version": 2, "await": False}),
        ("map", {}),
    ],
)
def test_good_parameters(kind: str, parameters: Json) -> None:
    assert faults(kind, parameters) == []


@pytest.mark.parametrize(
    ("kind", "parameters", "fields"),
    [
        ("event", {}, ["request"]),
        ("event", {"request": "Risk Analysis", "reply": 1}, ["reply", "request"]),
        ("event", {"request": "a", "replies": []}, ["replies"]),
        ("event", {"request": "a", "correlation": {}}, ["correlation"]),
        ("event", {"request": "a", "correlation": {"colour": "data.x"}}, ["correlation.colour"]),
        ("event", {"request": "a", "correlation": {"amount": "x =="}}, ["correlation.amount"]),
        ("wait", {"seconds": 1, "correlation": {"amount": "data.x"}}, ["correlation"]),
        ("event", {"request": "a", "replies": [{"result": {}}]}, ["replies[0].type"]),
        (
            "event",
            {"request": "a", "replies": [{"type": "b", "result": {"x": "a =="}}]},
            ["replies[0].result.x"],
        ),
        ("event", {"request": "a", "replies": [{"type": "b"}, {"type": "b"}]}, ["replies[1].type"]),
        (
            "event",
            {"request": "a", "replies": [{"type": "b", "failed": True, "result": {}}]},
            ["replies[0].result"],
        ),
        (
            "event",
            {
                "request": "No Type",
                "replies": [
                    {"type": "B 1", "result": {"x": "a ==", "y": 5, "z.z": 5}, "failed": "no"},
                    {"result": {"x": "a =="}},
                    {"type": "b"},
                    {"type": "b", "other": 1},
                ],
                "correlation": {"colour": "a ==", "amount": 5, "place": "b =="},
            },
            [
                *("correlation.amount", "correlation.colour", "correlation.colour", "correlation.place"),
                *("correlation.place", "replies[0].failed", "replies[0].result.x", "replies[0].result.y"),
                *("replies[0].result.z.z", "replies[0].type", "replies[1].result.x", "replies[1].type"),
                *("replies[3].other", "replies[3].type", "request"),
            ],
        ),
        (
            "event",
            {"request": "a", "replies": ["a"], "correlation": {"colour": "data.x"}},
            ["correlation.colour", "replies[0]"],
        ),
        ("wait", {"seconds": "5m"}, ["seconds"]),
        ("wait", {"until": ["x"], "correlation": {"amount": "data.x"}}, ["correlation", "until"]),
        (
            "http",
            HTTP | {"accepted": "yes", "replies": [{"type": "A"}, {}]},
            ["accepted", "replies[0].type", "replies[1].type"],
        ),
        (
            "http",
            HTTP | {"path": 5, "body": ["nobody", 5], "query": ["nobody"]},
            ["body", "path", "query[0]"],
        ),
        ("http", {}, ["method", "path", "service"]),
        ("http", HTTP | {"service": "https://evil.example"}, ["service"]),
        ("http", HTTP | {"method": "CONNECT"}, ["method"]),
        ("http", HTTP | {"path": "https://evil.example/"}, ["path"]),
        ("http", HTTP | {"path": "//evil.example/"}, ["path"]),
        ("http", HTTP | {"path": "/a/../b"}, ["path"]),
        ("http", HTTP | {"path": "/a/%2e%2E/b"}, ["path"]),
        ("http", HTTP | {"path": "/a\\b"}, ["path"]),
        ("http", HTTP | {"path": "/a b"}, ["path"]),
        ("http", HTTP | {"path": "/a#b"}, ["path"]),
        ("http", HTTP | {"path": "/a\r\nHost: b"}, ["path"]),
        ("http", HTTP | {"path": "/{nobody}"}, ["path"]),
        ("http", HTTP | {"path": "/{model"}, ["path"]),
        ("http", HTTP | {"body": ["amount", "nobody"]}, ["body[1]"]),
        ("http", HTTP | {"query": ["nobody"]}, ["query[0]"]),
        ("http", HTTP | {"query": "all"}, ["query"]),
        ("http", HTTP | {"body": "some"}, ["body"]),
        ("http", HTTP | {"method": "GET", "body": "all"}, ["body"]),
        ("http", HTTP | {"accepted": "yes"}, ["accepted"]),
        ("http", HTTP | {"replies": [{"type": "a"}]}, ["replies"]),
        ("http", HTTP | {"correlation": {"amount": "data.x"}}, ["correlation"]),
        ("http", HTTP | {"accepted": True, "replies": [{"type": "a"}, {"type": "a"}]}, ["replies[1].type"]),
        ("task", {"queue": ""}, ["queue"]),
        ("task", {"queue": "a/b"}, ["queue"]),
        ("approval", {"policy": "all"}, ["policy"]),
        ("wait", {}, [""]),
        ("wait", {"seconds": 1, "event": "a.b"}, [""]),
        ("wait", {"seconds": 0}, ["seconds"]),
        ("wait", {"seconds": 1e9}, ["seconds"]),
        ("wait", {"until": "nobody"}, ["until"]),
        ("wait", {"event": "A"}, ["event"]),
        ("workflow", {}, ["definition"]),
        ("workflow", {"definition": "Deal Review"}, ["definition"]),
        ("workflow", {"definition": "deal_review\n"}, ["definition"]),
        ("workflow", {"definition": "d", "version": 0}, ["version"]),
        ("map", {"over": "@"}, ["over"]),
    ],
)
def test_bad_parameters(kind: str, parameters: Json, fields: list[str]) -> None:
    assert sorted(field for field, _ in faults(kind, parameters)) == fields


@pytest.mark.parametrize(
    ("kind", "parameters", "field", "told"),
    [
        ("http", HTTP | {"path": "a b"}, "path", "must begin with / and contain only letters"),
        ("http", HTTP | {"path": "/" + "a" * 2000}, "path", "at most 2000 characters"),
        ("task", {"queue": "A"}, "queue", "must be lower-case letters and digits, joined by"),
        ("event", {"request": "a.b-2"}, "request", "must be a message type: lower-case letters and _"),
        ("wait", {"event": "a.b-2"}, "event", "must be a message type: lower-case letters and _"),
        ("task", {}, "queue", "is missing"),
    ],
)
def test_what_a_parameter_looks_like_is_told_in_words(
    kind: str, parameters: Json, field: str, told: str
) -> None:
    ((where, message),) = faults(kind, parameters)
    assert where == field
    assert told in message


def test_an_unknown_parameter_is_told_with_what_may_have_been_meant() -> None:
    replies = {"request": "a", "correlations": {}, "replies": [{"type": "a.b", "x": 1}]}
    assert dict(faults("event", replies)) == {
        "correlations": "is not known; did you mean correlation?",
        "replies[0].x": "is not known",
    }
    assert dict(faults("task", {"quue": "a"})) == {
        "queue": "is missing",
        "quue": "is not known; did you mean queue?",
    }


def test_a_name_that_is_nearly_one_of_an_approvals_is_refused() -> None:
    """People would be asked about an amount of 0."""
    names = ("amuont", "amount", "Policy", "notes", "requested")
    work = Work(kind="approval", input=dict.fromkeys(names, "input.amount"))
    assert dict(KINDS["approval"].faults(work)) == {
        "input.amuont": "is no part of an approval; did you mean amount?",
        "input.Policy": "is no part of an approval; did you mean policy?",
        "input.requested": "is no part of an approval; did you mean requestedBy?",
    }


def test_a_literal_that_an_approval_cannot_have_is_refused() -> None:
    """No workflow's step would ever be asked about."""
    input = {
        "amount": "'5'",
        "riskScore": "`0.5`",
        "payload": "`[]`",
        "dueAt": "'tomorrow'",
        "approvalUrl": "'ftp://a'",
        "subject": "''",
        "ownerId": "`7`",
        "policy": "`null`",
        "approverId": "input.approver",
    }
    assert dict(KINDS["approval"].faults(Work(kind="approval", input=input))) == {
        "input.amount": "must be a number between -1000000000000000 and 1000000000000000",
        "input.payload": "must be an object",
        "input.dueAt": "must be an ISO 8601 time with an offset",
        "input.approvalUrl": "must be a web address of at most 2048 characters",
        "input.subject": "must be a string of 1 to 500 characters",
        "input.ownerId": "must be a string of 1 to 255 characters, without control characters",
    }


@pytest.mark.parametrize(("timeout", "told"), [(60.0, []), (None, []), (59.5, ["timeout"])])
def test_a_wait_that_outlasts_its_timeout_is_refused(timeout: float | None, told: list[str]) -> None:
    """Each attempt would time out."""
    work = Work(kind="wait", parameters={"seconds": 60}, timeout_seconds=timeout)
    assert [fault.field for fault in KINDS["wait"].faults(work)] == told
