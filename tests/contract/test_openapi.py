"""openapi.yaml and the service: the same routes, and every answer as the contract says."""

import logging
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import schemathesis
import structlog
from schemathesis.python import asgi
from starlette.routing import Route

from config.container import build
from interfaces.rest.docs import docs_routes
from tests.contract.contract import operations
from tests.contract.exploration import Findings, configuration, explore
from tests.contract.service import EmbeddedService
from tests.contract.tokens import SECRET, TokenForTheRequest
from tests.harness import ServiceProcess, settings_in

QUICKLY_FAILING = {"WORKFLOW_STEP_TIMEOUT_SECONDS": "0.2"}
"""No neighbour answers here: workflows fail at once, so that there is something to retry."""

PHASES = {"examples", "coverage", "fuzzing", "stateful"}

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

WORKFLOWS, APPROVALS, JOB = "/api/v1/workflows", "/api/v1/hitl/approvals", "/api/v1/jobs/{job}"

FOLLOWED = {
    (f"POST {WORKFLOWS}", f"GET {WORKFLOWS}/{{workflowId}}"),
    (f"POST {WORKFLOWS}", f"GET {WORKFLOWS}/{{workflowId}}/steps"),
    (f"POST {WORKFLOWS}", f"GET {WORKFLOWS}/{{workflowId}}/executions"),
    (f"POST {WORKFLOWS}", f"GET {WORKFLOWS}/{{workflowId}}/events"),
    (f"POST {WORKFLOWS}", f"POST {WORKFLOWS}/{{workflowId}}/retry"),
    (f"POST {APPROVALS}", f"GET {APPROVALS}/{{id}}"),
    (f"POST {APPROVALS}", f"GET {APPROVALS}/{{id}}/events"),
    (f"POST {APPROVALS}", f"POST {APPROVALS}/{{id}}/approve"),
    (f"POST {APPROVALS}", f"POST {APPROVALS}/{{id}}/reject"),
    (f"POST {JOB}/trigger", f"GET {JOB}/runs"),
}
"""The chains that a run must have gone along."""


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
    async with AsyncExitStack() as stack:
        container = await build(settings_in(tmp_path), stack)
        served = {
            (method, _shape(route.path))
            for route in container.app.routes
            if isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}
        }
        assert all(isinstance(route, Route) for route in container.app.routes)
    assets = {("GET", route.path) for route in docs_routes() if route.path.startswith("/docs/")}
    assert served - assets == {(each.method.upper(), _shape(each.path)) for each in operations()}


def _shape(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)


@pytest.mark.usefixtures("quiet")
def test_with_tokens_every_answer_is_as_the_contract_says(tmp_path: Path) -> None:
    service = EmbeddedService(settings_in(tmp_path, JWT_SECRET=SECRET, **QUICKLY_FAILING))
    try:
        schema = schemathesis.openapi.from_asgi(
            "/openapi.yaml", service, config=configuration(examples=10, chains=40)
        )
        schema.auth(refresh_interval=None)(TokenForTheRequest)
        findings = explore(schema)
    finally:
        asgi.shutdown_lifespans()
    assert findings.faults == []
    assert findings.phases == PHASES
    assert findings.checks == CHECKS
    _assert_that_everything_was_reached(findings)
    assert FOLLOWED - findings.links == set()


def test_behind_a_gateway_and_on_a_port_every_answer_is_as_the_contract_says(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path, AUTH_MODE="gateway", **QUICKLY_FAILING).start()
    try:
        schema = schemathesis.openapi.from_url(
            f"{service.url}/openapi.yaml",
            config=configuration(examples=5, chains=10, without=("ignored_auth",)),
        )
        schema.config.update(base_url=service.url)
        findings = explore(schema)
    finally:
        service.stop()
    assert findings.faults == []
    assert findings.phases == PHASES
    assert findings.checks == CHECKS - {"ignored_auth"}
    _assert_that_everything_was_reached(findings)


def _assert_that_everything_was_reached(findings: Findings) -> None:
    """Without this a service that refuses all would pass; the contract itself is what the run began with."""
    succeeded = {name for name, seen in findings.answers.items() if any(200 <= each < 300 for each in seen)}
    every = {f"{each.method.upper()} {each.path}" for each in operations()} - {"GET /openapi.yaml"}
    assert every - succeeded == set()
