"""How a body is written: in UTF-8, with or without a mark at its beginning, and not compressed."""

import gzip

import httpx
import pytest

from tests.contract.contract import operations, validate_answer
from tests.harness import Service

pytestmark = pytest.mark.anyio

OPERATIONS = {each.id: each for each in operations()}
APPROVALS = "/api/v1/hitl/approvals"
DEFINITIONS = "/api/v1/workflow-definitions"
APPROVAL = '{"opportunityId": "opp-ü", "riskScore": 0.2, "amount": 1}'
PLAN = "name: deal-check\nsteps:\n- stepType: check\n  parameters: {request: deal.check.requested}\n"
MARK = b"\xef\xbb\xbf"


async def sent(
    service: Service, body: bytes, kind: str, path: str = APPROVALS, **more: str
) -> httpx.Response:
    headers = {"X-User-ID": "ada", "Content-Type": kind} | {n.replace("_", "-"): v for n, v in more.items()}
    async with service.client() as client:
        answer = await client.post(path, content=body, headers=headers)
    validate_answer(OPERATIONS["createApproval" if path == APPROVALS else "createWorkflowDefinition"], answer)
    return answer


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "GZIP", "identity, gzip"])
async def test_a_compressed_body_is_refused_as_such(behind_gateway: Service, coding: str) -> None:
    answer = await sent(
        behind_gateway, gzip.compress(APPROVAL.encode()), "application/json", Content_Encoding=coding
    )
    assert answer.status_code == 415, answer.text
    assert answer.json()["error"]["message"] == "the body must be sent without Content-Encoding"


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("utf-16", "utf-16"), ("UTF-16LE", "utf-16-le"), ('"utf-32"', "utf-32"), ("iso-8859-1", "latin-1")],
)
async def test_a_body_in_another_encoding_is_refused_as_such(
    behind_gateway: Service, charset: str, encoding: str
) -> None:
    kind = f"application/json; charset={charset}"
    answer = await sent(behind_gateway, APPROVAL.encode(encoding), kind)
    assert answer.status_code == 415, answer.text
    assert answer.json()["error"]["message"] == "the body must be in UTF-8"


async def test_of_a_definition_both_are_told_too(behind_gateway: Service) -> None:
    kind = "application/yaml"
    packed = await sent(
        behind_gateway, gzip.compress(PLAN.encode()), kind, DEFINITIONS, Content_Encoding="gzip"
    )
    wide = await sent(behind_gateway, PLAN.encode("utf-16"), f"{kind}; charset=utf-16", DEFINITIONS)
    assert (packed.status_code, wide.status_code) == (415, 415)


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json;charset=utf-8",
        'Application/JSON; v=1; Charset="UTF-8"',
        "application/json; charset=utf8",
    ],
)
async def test_utf_8_is_taken_however_it_is_named_and_marked(behind_gateway: Service, kind: str) -> None:
    for body in (APPROVAL.encode(), MARK + APPROVAL.encode()):
        answer = await sent(behind_gateway, body, kind, Content_Encoding="identity")
        assert answer.status_code == 201, answer.text
        assert answer.json()["opportunityId"] == "opp-ü"


async def test_what_is_ascii_alone_may_go_by_the_name_of_what_is_the_same_there(
    behind_gateway: Service,
) -> None:
    body = APPROVAL.replace("ü", "u").encode()
    for charset in ("iso-8859-1", "US-ASCII", "windows-1252"):
        answer = await sent(behind_gateway, body, f"application/json; charset={charset}")
        assert answer.status_code == 201, answer.text


async def test_a_mark_alone_is_an_empty_body(behind_gateway: Service) -> None:
    answer = await sent(behind_gateway, MARK, "application/json")
    assert answer.json()["error"]["details"] == [{"field": "body", "message": "not JSON: the body is empty"}]


async def test_a_mark_is_no_other_body_under_a_key(behind_gateway: Service) -> None:
    key = {"Idempotency_Key": "once"}
    first = await sent(behind_gateway, APPROVAL.encode(), "application/json", **key)
    again = await sent(behind_gateway, MARK + APPROVAL.encode(), "application/json", **key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
