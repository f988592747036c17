"""openapi.yaml and the service: the same routes, and every answer as the contract says."""

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import schemathesis
import structlog
from schemathesis.python import asgi
from starlette.routing import Route

from interfaces.rest.docs import docs_routes
from tests.contract.contract import operations
from tests.contract.exploration import PHASES, Findings, configuration, explore
from tests.contract.service import EmbeddedService
from tests.contract.tokens import SECRET, TokenForTheRequest
from tests.harness import service, service_process, settings_in

pytestmark = pytest.mark.timeout(300)

CHECKS = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "positive_data_acceptance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    "object_level_authorization",
}

_WORKFLOW = "POST /api/v1/workflows/{workflowId}"
_STEP_ORDERS = [f"steps/{{stepId}}/{order}" for order in ("retry", "skip", "complete")]
SELDOM_SUCCESSFUL = {
    f"{_WORKFLOW}/{order}" for order in ("retry", "cancel", "pause", "resume", *_STEP_ORDERS)
}
"""They need the id of a workflow that is in the right state, which only links lead to, and with luck."""

OF_ANOTHER = {"POST /api/v1/hitl/approvals/{id}/claim"}
"""Who asked for an approval does not see to it; in ``test_approval_answers.py`` somebody else does."""

BY_LUCK = {f"POST /api/v1/hitl/approvals/{{id}}/{what}" for what in ("approve", "reject")}
"""Behind a gateway a generated ``decidedBy`` is seldom the generated ``X-User-ID``."""

OF_A_RUN = {"GET /api/v1/jobs/{job}/runs/{runId}"}
"""It needs the id of a run that was triggered, which only links lead to."""

OF_A_TASK = {
    "GET /api/v1/tasks/{taskId}",
    "GET /api/v1/tasks/{taskId}/events",
    *(f"POST /api/v1/tasks/{{taskId}}/{what}" for what in ("heartbeat", "complete", "fail", "release")),
}
"""No shipped definition has a task; ``tests/integration/test_tasks.py`` holds the answers to the contract."""

STREAM_SECONDS = "0.05"
"""No answer is looked at before its end."""

Schema = schemathesis.BaseSchema


@pytest.fixture
def quiet() -> Iterator[None]:
    """Thousands of requests: only what fails is logged."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.configure(**before)


@pytest.mark.anyio
async def test_every_route_of_the_contract_is_served_and_every_route_served_stands_in_it(
    tmp_path: Path,
) -> None:
    async with service(settings_in(tmp_path)) as running:
        routes = running.container.app.routes
        served = {
            (method, _shape(route.path))
            for route in routes
            if isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}
        }
        assert all(isinstance(route, Route) for route in routes)
    pages = {each for each in served if f"{each[1]}/".startswith("/console/")}
    assets = {("GET", route.path) for route in docs_routes() if route.path.startswith("/docs/")}
    assert served - assets - pages == {(each.method.upper(), _shape(each.path)) for each in operations()}


def _shape(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)


@pytest.fixture
def signed_in(tmp_path: Path, quiet: None) -> Iterator[Callable[[schemathesis.Config], Schema]]:
    """The contract over the service in this process, each request with its token."""
    embedded = EmbeddedService(settings_in(tmp_path, JWT_SECRET=SECRET, MAX_STREAM_SECONDS=STREAM_SECONDS))

    def load(config: schemathesis.Config) -> Schema:
        schema = schemathesis.openapi.from_asgi("/openapi.yaml", embedded, config=config)
        schema.auth(refresh_interval=None)(TokenForTheRequest)
        return schema

    yield load
    asgi.shutdown_lifespans()


def test_every_answer_to_good_and_bad_requests_is_as_the_contract_says(
    signed_in: Callable[[schemathesis.Config], Schema],
) -> None:
    phases = ("examples", "coverage", "fuzzing")
    findings = explore(signed_in(configuration(*phases, examples=10)))
    assert not findings.faults, findings.told
    assert findings.phases == set(phases)
    assert findings.checks == CHECKS
    assert _never_successful(findings) <= SELDOM_SUCCESSFUL | OF_A_TASK | OF_A_RUN | OF_ANOTHER


def test_every_answer_along_the_links_is_as_the_contract_says(
    signed_in: Callable[[schemathesis.Config], Schema],
) -> None:
    findings = explore(signed_in(configuration("stateful", examples=80)))
    assert not findings.faults, findings.told
    assert findings.checks == CHECKS
    assert len(findings.links) >= 5


def test_behind_a_gateway_and_on_a_port_every_answer_is_as_the_contract_says(tmp_path: Path) -> None:
    with service_process(tmp_path, AUTH_MODE="gateway", MAX_STREAM_SECONDS=STREAM_SECONDS) as process:
        trusting = configuration(*PHASES, examples=5, without_checks=("ignored_auth",))
        schema = schemathesis.openapi.from_url(f"{process.url}/openapi.yaml", config=trusting)
        schema.config.update(base_url=process.url)
        findings = explore(schema)
    assert not findings.faults, findings.told
    assert findings.phases == set(PHASES)
    assert findings.checks == CHECKS - {"ignored_auth"}
    assert _never_successful(findings) <= SELDOM_SUCCESSFUL | OF_A_TASK | OF_A_RUN | OF_ANOTHER | BY_LUCK


def _never_successful(findings: Findings) -> set[str]:
    """The operations that only ever refused; the contract itself is what each run began with."""
    succeeded = {name for name, seen in findings.answers.items() if any(200 <= each < 300 for each in seen)}
    return {f"{each.method.upper()} {each.path}" for each in operations()} - succeeded - {"GET /openapi.yaml"}
