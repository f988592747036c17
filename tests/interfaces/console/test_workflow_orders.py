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
        ("compensating", "a.compensation", "retrying", ["retry", "skip"]),
        ("compensation_failed", "a.compensation", "failed", ["retry", "skip"]),
        ("compensation_failed", "a.compensation", "completed", []),
        ("compensation_failed", "a", "failed", []),
        ("compensated", "a.compensation", "skipped", []),
    ],
)
def test_of_a_step_likewise(workflow: str, step_type: str, status: str, orders: list[str]) -> None:
    item = 3 if step_type.endswith("[3]") else None
    step = {"stepType": step_type, "kind": "task", "status": status, "item": item}
    around = {"status": workflow, "steps": [{"stepType": "a", "status": "running"}]}
    assert list(step_orders_of(step, around, is_operator=False)) == orders


def test_nothing_is_offered_of_an_item_that_nobody_waits_for() -> None:
    item = {"stepType": "a[3]", "kind": "task", "status": "failed", "item": 3}
    around = {"status": "running", "steps": [{"stepType": "a", "status": "completed"}]}
    assert step_orders_of(item, around, is_operator=True) == ()


@pytest.mark.parametrize(("is_operator", "orders"), [(True, ["skip"]), (False, [])])
def test_only_an_operator_is_offered_to_do_without_a_decision(is_operator: bool, orders: list[str]) -> None:
    step = {"stepType": "a", "kind": "approval", "status": "running"}
    assert (
        list(step_orders_of(step, {"status": "running", "steps": [step]}, is_operator=is_operator)) == orders
    )
