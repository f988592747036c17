"""``If-Match`` is never left unchecked: a command takes it, or says that it does not."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.contract import Operation, operations
from tests.harness import SYSTEM_TENANT, UNKNOWN_ID, Service, service, settings_in

pytestmark = pytest.mark.anyio

COMMANDS = [each for each in operations() if each.path.startswith("/api/v1/") and each.method != "get"]


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    folder: Path = tmp_path_factory.mktemp("conditions")
    async with service(settings_in(folder, BATCH_JOBS_ENABLED="false")) as running:
        yield running


async def fields_at_fault(running: Service, operation: Operation, tag: str) -> list[str]:
    """Those that a request with only this condition is told of."""
    places = dict.fromkeys(operation.parameters("path"), UNKNOWN_ID) | {"job": "outcome-sync"}
    async with running.client(SYSTEM_TENANT, **{"X-User-ID": "ada", "If-Match": tag}) as client:
        answer = await client.request(operation.method.upper(), operation.path.format(**places))
    if answer.status_code != 400:
        return []
    assert "400" in operation.responses()
    return [detail["field"] for detail in answer.json()["error"]["details"]]


@pytest.mark.parametrize("operation", COMMANDS, ids=lambda each: each.id)
async def test_a_command_takes_a_version_or_refuses_it(running: Service, operation: Operation) -> None:
    refused = "If-Match" in await fields_at_fault(running, operation, '"77"')
    assert refused == ("If-Match" not in operation.parameters("header"))
    assert "If-Match" not in await fields_at_fault(running, operation, "*")


def test_what_a_command_may_be_held_against_is_read_with_its_version() -> None:
    things = (each for each in operations() if each.method == "get" and each.path.endswith("}"))
    read = {each.path: str(each.responses()["200"]) for each in things}
    for command in COMMANDS:
        if "If-Match" in command.parameters("header"):
            thing = max((path for path in read if command.path.startswith(path)), key=len)
            assert "ETag" in read[thing], (command.id, thing)


def test_what_answers_with_the_version_that_it_found_takes_it_as_a_condition() -> None:
    makes = {
        "startWorkflow",
        "createWorkflowDefinition",
        "createApproval",
        "createDelegation",
        "startBackfill",
    }
    tagged = {each.id for each in COMMANDS if any("ETag" in str(r) for r in each.responses().values())}
    assert {each.id for each in COMMANDS if "If-Match" in each.parameters("header")} == tagged - makes
