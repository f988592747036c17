"""What is offered of a workflow and of its steps, in each of their states."""

import pytest

from domain.workflow.state import WorkflowStatus
from interfaces.console.workflow_orders import orders_of, step_orders_of
from interfaces.console.workflows import STATUSES


def test_there_is_a_filter_for_each_state() -> None:
    assert set(STATUSES) == set(WorkflowStatus.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("status", "orders"),
    [
        ("pending", ["cancel"]),
        ("running", ["pause", "cancel"]),
        ("paused", ["resume", "cancel"]),
        ("completed", ["retry"]),
        ("failed", ["retry"]),
        ("cancelled", ["retry"]),
        ("compensating", []),
        ("compensated", []),
        ("compensation_failed", ["retry"]),
    ],
)
def test_of_a_workflow_only_what_can_be_carried_out_is_offered(status: str, orders: list[str]) -> None:
    assert list(orders_of({"status": status})) == orders


@pytest.mark.parametrize(
    ("workflow", "step_type", "status", "orders"),
    [
        ("running", "a", "failed", ["retry"]),
        ("paused", "a", "retrying", ["retry", "skip"]),
        ("running", "a[3]", "running", ["skip"]),
        ("running", "a", "completed", []),
        ("failed", "a", "failed", []),
        ("compensating", "a", "failed", []),
        ("compensating", "a.compensation", "running", ["skip"]),
        ("compensation_failed", "a.compensation", "failed", []),
    ],
)
def test_of_a_step_likewise(workflow: str, step_type: str, status: str, orders: list[str]) -> None:
    assert list(step_orders_of({"stepType": step_type, "status": status}, workflow)) == orders
