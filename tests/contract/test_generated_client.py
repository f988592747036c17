"""A client generated from openapi.yaml: it has every operation, and reads what the service answers."""

import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.contract.contract import OPENAPI_FILE, SCHEMAS, operations
from tests.harness import SYSTEM_TENANT, TENANT, Service, service, settings_in

SETTINGS = Path(__file__).with_name("clients.yaml")
PACKAGE = "client_of_the_contract"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package, which can be imported meanwhile; whatever the generator leaves out fails it."""
    folder = tmp_path_factory.mktemp("generated")
    orders = f"--path {OPENAPI_FILE} --config {SETTINGS} --meta none --output-path {folder / PACKAGE}".split()
    done = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", *orders],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield folder / PACKAGE
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_every_operation_is_generated_and_every_module_can_be_imported(generated: Path) -> None:
    package = importlib.import_module(PACKAGE)
    modules = [each.name for each in pkgutil.walk_packages(package.__path__, f"{PACKAGE}.")]
    for name in modules:
        importlib.import_module(name)
    calls = {name.rpartition(".")[2] for name in modules if name.startswith(f"{PACKAGE}.api.")}
    assert {_snake(each.id) for each in operations()} <= calls


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    async with service(settings_in(tmp_path)) as running:
        yield running


@pytest.mark.anyio
async def test_it_asks_the_service_and_reads_its_answers(generated: Path, running: Service) -> None:
    models = _part("models")
    start = models.StartWorkflowRequest(opportunity_id="opp-1")
    started = await _asked(running, "workflows", "start_workflow", body=start)
    assert started.status == models.WorkflowStatus.RUNNING
    deal = {"opportunityId": "o", "riskScore": 1, "amount": 2, "payload": {"a": [1, {"b": None}]}}
    asked = models.CreateApprovalRequest.from_dict(deal)
    approval = await _asked(running, "approvals", "create_approval", body=asked)
    assert approval.payload.to_dict() == deal["payload"]
    asked.risk_score = "high"
    refused = await _asked(running, "approvals", "create_approval", body=asked)
    assert [each.field for each in refused.error.details] == ["riskScore"]
    ids = [str(approval.id), "none"]
    many = [{"approvalId": each, "decision": "approve", "decidedBy": "ada"} for each in ids]
    decisions = models.DecisionsRequest.from_dict({"decisions": many})
    decided = await _asked(running, "approvals", "decide_approvals", body=decisions)
    assert [type(each) for each in decided.outcomes] == [models.DecisionDone, models.DecisionRefused]
    assert decided.outcomes[1].error.code is models.KnownErrorCode.HITL_APPROVAL_NOT_FOUND
    jobs = await _asked(running, "jobs", "list_jobs", tenant=SYSTEM_TENANT)
    assert jobs.jobs[0].metadata_schema.additional_properties


async def _asked(running: Service, tag: str, operation: str, tenant: str = TENANT, **body: Any) -> Any:
    """What an operation answers, as the client reads it."""
    client = _part("client").Client(base_url="http://service")
    async with running.client(tenant=None) as http:
        client.set_async_httpx_client(http)
        return await _part(f"api.{tag}.{operation}").asyncio(client=client, x_tenant_id=tenant, **body)


def test_what_a_later_version_adds_is_read_past(generated: Path) -> None:
    models = _part("models")
    told = {"code": "NEVER_HEARD_OF", "message": "m", "requestId": "r", "hint": "h"}
    error = models.Error.from_dict({"error": told, "more": 1})
    assert error.error.code == "NEVER_HEARD_OF"
    assert error.to_dict() == {"error": told, "more": 1}
    assert "NEVER_HEARD_OF" not in SCHEMAS["KnownErrorCode"]["enum"]


def _part(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
