"""What was undone says in the end why it had failed, however the undoing went."""

from typing import Any

import msgspec

from domain import workflow
from domain.definition import Work
from domain.workflow import WorkflowCompensated, cancel, retry, skip_step, step_id_of, workflow_stream
from projections.executions import Executions
from projections.projection import Projection, document_of
from projections.workflows import Workflows
from tests.builders import TENANT, recorded
from tests.domain.plans import Run, step

UNDO = Work(parameters={"request": "undo"})


def begun() -> Run:
    """What can be undone is done, and what can fail is under way."""
    return Run.of(step("book", compensation=UNDO), step("pay", after=["book"], critical=True)).completed(
        "book"
    )


def document(projection: Projection, id: str, run: Run) -> Any:
    return msgspec.json.decode(
        document_of(projection, id, list(recorded(workflow_stream(TENANT, "w-1"), run.events)))
    )


def why(run: Run) -> list[tuple[str | None, ...]]:
    """Status, error, failed step and reason, of the workflow and of its last execution."""
    documents = [document(Workflows(), "w-1", run), document(Executions(), run.state.execution_id, run)]
    return [
        tuple(each.get(name) for name in ("status", "error", "failedStep", "reason")) for each in documents
    ]


FAILED = ("compensated", "no", "pay", None)
STUCK = ("compensation_failed", "no", "book.compensation", None)


def test_undone_at_the_first_go() -> None:
    assert why(begun().failed("pay").completed("book.compensation")) == [FAILED, FAILED]


def test_a_compensation_that_has_failed_is_told_until_it_is_tried_again() -> None:
    stuck = begun().failed("pay", "book.compensation")
    assert why(stuck) == [STUCK, STUCK]
    again = stuck.so(stuck.ordered(retry))
    assert why(again) == [("compensating", None, None, None)] * 2
    assert why(again.completed("book.compensation")) == [FAILED, FAILED]


def test_a_compensation_that_is_skipped() -> None:
    stuck = begun().failed("pay", "book.compensation")
    skips = stuck.ordered(
        skip_step, step_id=step_id_of("w-1", "book.compensation"), reason="by hand", may_do_all=True
    )
    assert why(stuck.so(skips)) == [FAILED, FAILED]


def test_a_cancelled_workflow_has_a_reason_and_no_error() -> None:
    run = begun()
    stuck = run.so(run.ordered(cancel, reason="off")).failed("book.compensation")
    assert why(stuck)[0] == ("compensation_failed", "no", "book.compensation", "off")
    skips = stuck.ordered(
        skip_step, step_id=step_id_of("w-1", "book.compensation"), reason="by hand", may_do_all=True
    )
    assert why(stuck.so(skips)) == [("compensated", None, None, "off")] * 2
    again = stuck.so(stuck.ordered(retry)).completed("book.compensation")
    assert why(again)[0] == ("compensated", None, None, "off")


def test_of_what_was_undone_before_the_event_said_why_it_is_told_as_it_was() -> None:
    *before, compensated = begun().failed("pay").completed("book.compensation").events
    assert isinstance(compensated, WorkflowCompensated)
    of_old = msgspec.structs.replace(compensated, failure=None, failed_step=None, parent=None)
    assert why(Run(workflow.evolve, *before, of_old))[0] == FAILED
