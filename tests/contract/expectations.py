"""What an exploration of the contract has to look at, and which operations may never have succeeded in it."""

from tests.contract.contract import operations
from tests.contract.exploration import Findings

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

OF_A_NAME = {"PUT /api/v1/workflow-definitions/{name}"}
"""The path must name what the body does, and ``If-Match`` a version of it; the examples, of which one key
lets one be published, do not. ``test_definitions.py`` publishes by it."""

OF_A_RUN = {"GET /api/v1/jobs/{job}/runs/{runId}"}
"""It needs the id of a run that was triggered, which only links lead to."""

OF_A_TASK = {
    "GET /api/v1/tasks/{taskId}",
    "GET /api/v1/tasks/{taskId}/events",
    *(f"POST /api/v1/tasks/{{taskId}}/{what}" for what in ("heartbeat", "complete", "fail", "release")),
}
"""No shipped definition has a task; ``tests/integration/test_tasks.py`` holds the answers to the contract."""

OF_PARKED = {
    "GET /api/v1/system/parked-messages/{id}",
    *(f"POST /api/v1/system/parked-messages/{{id}}/{what}" for what in ("requeue", "discard")),
}
"""Nothing is parked; ``tests/integration/test_parked.py`` holds the answers to the contract."""

STREAM_SECONDS = "0.05"
"""No answer is looked at before its end."""


def never_successful(findings: Findings) -> set[str]:
    """The operations that only ever refused."""
    succeeded = {name for name, seen in findings.answers.items() if any(200 <= each < 300 for each in seen)}
    return {f"{each.method.upper()} {each.path}" for each in operations()} - succeeded
