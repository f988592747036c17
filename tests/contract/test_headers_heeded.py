"""Headers on which the outcome of a request depends stand in the contract, at each operation.

Which operations those are is asked of the service itself: a list in a test would be as old as the contract.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from interfaces.rest import identity
from interfaces.rest.freshness import HEADER
from tests.contract.contract import Operation, operations, resolved, validate_answer
from tests.harness import SYSTEM_TENANT, UNKNOWN_ID, USER, Service, service, settings_in

pytestmark = pytest.mark.anyio

OF_THE_API = [each for each in operations() if each.path.startswith("/api/v1/")]
QUERIES = [each for each in OF_THE_API if each.method == "get"]

READS_NO_DOCUMENTS = {"getSettings", "listParkedMessages", "getParkedMessage"}
"""What they show does not come from the log, so that there is nothing to wait for."""

roles_read: list[str] = []


class Watched(identity.Caller, frozen=True):
    """A caller who notes that it is asked for its roles."""

    def __getattribute__(self, name: str) -> Any:
        if name == "roles":
            roles_read.append(name)
        return super().__getattribute__(name)


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """With publishers, so that it matters who is one."""
    folder: Path = tmp_path_factory.mktemp("heeded")
    overlay = {"workflows": {"publisher_roles": ["author"]}}
    async with service(settings_in(folder, overlay=overlay, BATCH_JOBS_ENABLED="false")) as running:
        yield running


@pytest.mark.parametrize("operation", OF_THE_API, ids=lambda each: each.id)
async def test_roles_stand_where_they_are_looked_at_and_nowhere_else(
    running: Service, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "Caller", Watched)
    roles_read.clear()
    for body in _bodies(operation):
        answer = await _asked(running, operation, body, {"X-User-ID": _person_in(body)})
        assert answer.status_code < 500 or answer.json()["error"]["code"] == "BROKER_UNAVAILABLE"
        if answer.status_code == 403:
            assert answer.json()["error"]["code"] in _codes(operation, "403")
    assert ("X-User-Roles" in operation.parameters("header")) == bool(roles_read)


@pytest.mark.parametrize("operation", OF_THE_API, ids=lambda each: each.id)
async def test_where_roles_let_somebody_do_it_others_are_told_that_they_may_not(operation: Operation) -> None:
    """Orders of one thing, and what is for operators alone: orders of many have an outcome for each."""
    headers = operation.parameters("header")
    if "X-User-Roles" in headers and ("If-Match" in headers or operation.path.startswith("/api/v1/system/")):
        assert _codes(operation, "403") - {"TENANT_MISMATCH", "CROSS_SITE", "SYSTEM_TENANT_ONLY"}


@pytest.mark.parametrize("operation", QUERIES, ids=lambda each: each.id)
async def test_a_position_stands_where_a_query_waits_for_it(running: Service, operation: Operation) -> None:
    answer = await _asked(running, operation, None, {HEADER: "nowhere"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["details"][0]["field"] == HEADER
    told = {HEADER, "Prefer"} & set(operation.parameters("header"))
    assert told == (set() if operation.id in READS_NO_DOCUMENTS else {HEADER, "Prefer"})
    assert not told or "NOT_YET" in _codes(operation, "503")


@pytest.mark.parametrize("operation", operations(), ids=lambda each: each.id)
async def test_that_another_host_is_refused_stands_everywhere(running: Service, operation: Operation) -> None:
    answer = await _asked(running, operation, None, {"Host": "evil.example"})
    assert answer.status_code == 421
    validate_answer(operation, answer)


async def _asked(
    running: Service, operation: Operation, body: Any, headers: dict[str, str]
) -> httpx.Response:
    places = dict.fromkeys(operation.parameters("path"), UNKNOWN_ID)
    mine = {"assignee": headers.get("X-User-ID", USER)} if "assignee" in operation.parameters("query") else {}
    async with running.client(SYSTEM_TENANT, **headers) as client:
        path = operation.path.format(**places)
        return await client.request(operation.method.upper(), path, params=mine, json=body)


def _bodies(operation: Operation) -> Iterator[Any]:
    """The examples of the body, and what only an operator may send; none, where there is no body."""
    if "requestBody" not in operation.definition:
        yield None
        return
    contents = resolved(operation.definition["requestBody"])["content"]
    for example in map(resolved, contents["application/json"]["examples"].values()):
        body = example["value"]
        yield body | {"waitSeconds": 0} if "waitSeconds" in body else body
        if operation.id == "createDelegation":
            yield body | {"by": "somebody else"}


def _person_in(body: Any) -> str:
    """Who decides, where the body says so: nobody else may."""
    said = [body, *body.get("decisions", [])] if isinstance(body, dict) else []
    return next((each["decidedBy"] for each in said if "decidedBy" in each), USER)


def _codes(operation: Operation, status: str) -> set[str]:
    examples = operation.responses()[status]["content"]["application/json"]["examples"]
    return {resolved(each)["value"]["error"]["code"] for each in examples.values()}
