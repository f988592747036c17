"""Every route of the API refuses a parameter of the query that it does not know, before anything is done."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.contract import Operation, operations
from tests.harness import SYSTEM_TENANT, UNKNOWN_ID, Service, service, settings_in

pytestmark = pytest.mark.anyio

OF_THE_API = [each for each in operations() if each.path.startswith("/api/v1/")]


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    folder: Path = tmp_path_factory.mktemp("unknown")
    async with service(settings_in(folder, BATCH_JOBS_ENABLED="false")) as running:
        yield running


@pytest.mark.parametrize("operation", OF_THE_API, ids=lambda each: each.id)
async def test_a_parameter_that_there_is_not_is_told(running: Service, operation: Operation) -> None:
    places = dict.fromkeys(operation.parameters("path"), UNKNOWN_ID) | {"job": "outcome-sync"}
    async with running.client(SYSTEM_TENANT) as client:
        path = operation.path.format(**places)
        answer = await client.request(operation.method.upper(), path, params={"dryRun": "true"})
    assert answer.status_code == 400, answer.text
    fields = [detail["field"] for detail in answer.json()["error"]["details"]]
    assert fields[0] == "dryRun", "what the body lacks is told after it"
