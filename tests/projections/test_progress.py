"""How far a workflow is: the items of ``map`` steps as the rules count them, and the share that is done."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import workflow
from domain.definition import MapOver, Retry, StepDefinition, Work, WorkflowDefinition
from domain.errors import Refusal
from domain.event import Event, Recorded
from domain.workflow import Workflow, item_type, step_id_of, workflow_stream
from projections.map_items import STATES, item_counts
from projections.ports import Container, Document
from projections.progress import map_steps, progress_of
from projections.projection import Materializer, document_of
from projections.steps import Steps
from projections.workflows import Workflows
from tests.builders import LEASE, NOW, TENANT, after, recorded
from tests.domain.scenario import fold
from tests.projections.memory_documents import MemoryDocuments

ASKED: dict[str, Any] = {"parameters": {"request": "workflow.thing.requested"}, "timeout_seconds": None}

STREAM = workflow_stream(TENANT, "w")
MAP_ID = step_id_of("w", "each")

PLAN = WorkflowDefinition(
    name="mapping",
    version=1,
    steps=(
        StepDefinition(
            step_type="each",
            kind="map",
            timeout_seconds=None,
            result_key="each",
            critical=True,
            map=MapOver(
                over="input.list",
                each=Work(**ASKED, retry=Retry(attempts=2, delay_seconds=0)),
                at_once=3,
                tolerate=1,
            ),
        ),
        StepDefinition(step_type="last", result_key="last", after=("each",), **ASKED),
    ),
)


def began(*elements: Any) -> list[Event]:
    return list(
        workflow.start(PLAN, workflow_id="w", opportunity_id=None, input={"list": list(elements)}, now=NOW)
    )


def steps_of(batches: Sequence[Sequence[Recorded]], documents: MemoryDocuments) -> dict[str, Any]:
    """The map step's document after the batches."""

    async def handle() -> None:
        materializer = Materializer(Steps(), documents)
        for batch in batches:
            await materializer.handle([each for each in batch if materializer.wants(each.event)], LEASE)

    anyio.run(handle)
    body: dict[str, Any] = msgspec.json.decode(documents.of(Steps().container)[TENANT, MAP_ID].body)
    return body


def truth(state: Workflow) -> dict[str, int]:
    """How many items are in which state, as the rules know it."""
    items = state.steps["each"].items
    assert items is not None
    known = [state.steps.get(item_type("each", index)) for index in range(len(items.elements))]
    counted: Counter[str] = Counter("pending" if step is None else step.status for step in known)
    return {status: counted[status] for status in STATES.values()}


MOVES = st.lists(
    st.tuples(
        st.sampled_from(
            ["complete", "fail", "again", "skip", "cancel", "retry", "all", "other", "retry step"]
        ),
        st.integers(0, 5),
    ),
    max_size=40,
)


def moved(events: list[Event], move: str, item: int) -> Sequence[Event]:
    """What one move leads to; nothing where the rules refuse it."""
    state, now = fold(workflow.evolve, events), after(minutes=len(events))
    name = item_type("each", item)
    step = state.steps.get(name)
    try:
        match move:
            case "complete":
                return workflow.complete_step(state, step_type=name, result={}, now=now)
            case "fail":
                return workflow.fail_step(state, step_type=name, error="no", now=now)
            case "again" if step is not None:
                return workflow.try_step_again(state, step_type=name, attempt=step.attempt, now=now)
            case "skip" if step is not None:
                return workflow.skip_step(state, step_id=step.step_id, reason="no need", now=now)
            case "cancel":
                return workflow.cancel(state, reason="no need", now=now)
            case "retry":
                return workflow.retry(state, now=now)
            case "all":
                return workflow.retry(state, from_step="each", now=now)
            case "other":
                return workflow.retry(state, from_step="each", input={"list": list("uvwxy")}, now=now)
            case "retry step" if step is not None:
                return workflow.retry_step(state, step_id=step.step_id, now=now)
    except Refusal:
        pass
    return ()


@given(MOVES, st.data())
def test_the_items_are_counted_as_the_rules_count_them_however_the_log_is_cut(
    moves: list[tuple[str, int]], data: st.DataObject
) -> None:
    events = began(*"abcde")
    for move, item in moves:
        events += moved(events, move, item)
    log = recorded(STREAM, events)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(log)))))
    batches = [log[start:end] for start, end in zip([0, *cuts], [*cuts, len(log)], strict=True)]
    assert item_counts(steps_of(batches, MemoryDocuments())) == truth(fold(workflow.evolve, events))


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        ("retry", {"completed": 1, "running": 3, "pending": 1}),
        ("other", {"completed": 0, "running": 3, "pending": 2}),
        ("all", {"completed": 0, "running": 3, "pending": 2}),
    ],
)
def test_a_plain_retry_keeps_what_is_done_where_the_elements_are_the_same(
    again: str, expected: dict[str, int]
) -> None:
    events = began(*"abcde")
    for move, item in (("complete", 0), ("fail", 1), ("again", 1), ("fail", 1), ("cancel", 0)):
        events += moved(events, move, item)
    assert fold(workflow.evolve, events).status == "cancelled"
    events += moved(events, again, 0)
    counts = item_counts(steps_of([recorded(STREAM, events)], MemoryDocuments()))
    assert counts == truth(fold(workflow.evolve, events))
    assert counts.items() >= expected.items()


@pytest.mark.parametrize(
    ("elements", "done"),
    [([1.0, {"b": 2, "a": 1}, 3], 2), ([True, {"a": 1, "b": 2}, 3], 0), ([1, {"a": True, "b": 2}, 3], 0)],
)
def test_elements_are_the_same_to_the_documents_where_they_are_to_the_rules(
    elements: list[Any], done: int
) -> None:
    events = began(1, {"a": 1, "b": 2}, 3)
    for move, item in (("complete", 0), ("complete", 1), ("cancel", 0)):
        events += moved(events, move, item)
    state = fold(workflow.evolve, events)
    events += workflow.retry(state, input={"list": elements}, now=after(days=1))
    counts = item_counts(steps_of([recorded(STREAM, events)], MemoryDocuments()))
    assert counts == truth(fold(workflow.evolve, events))
    assert counts["completed"] == done


class HalfWritten(MemoryDocuments):
    """A store without transactions: of the first batch of several documents only the items' are written."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False

    async def put(self, container: Container, documents: Sequence[Document]) -> None:
        if self.fails:
            self.fails = False
            await super().put(container, [each for each in documents if each.id != MAP_ID])
            raise ConnectionError
        await super().put(container, documents)


def test_an_item_that_was_written_without_its_step_is_counted_when_the_batch_comes_again() -> None:
    events = began(*"abcde")
    first = len(events)
    events += moved(events, "complete", 0)
    log, documents = recorded(STREAM, events), HalfWritten()
    steps_of([log[:first]], documents)
    documents.fails = True
    with pytest.raises(ConnectionError):
        steps_of([log[first:]], documents)
    assert item_counts(steps_of([log[first:]], documents)) == truth(fold(workflow.evolve, events))


def test_the_documents_of_ten_thousand_items_stay_small() -> None:
    events = began(*range(10_000))
    for item in range(300):
        events += moved(events, "complete", item)
    step = steps_of([recorded(STREAM, events)], MemoryDocuments())
    assert step["itemStates"] == "300c3r9697p"


def told(events: list[Event], now: datetime = NOW, typical: timedelta | None = None) -> dict[str, Any]:
    log = recorded(STREAM, events)
    document = msgspec.json.decode(document_of(Workflows(), "w", log))
    assert map_steps(document) == [MAP_ID]
    return progress_of(document, {MAP_ID: steps_of([log], MemoryDocuments())}, now, typical)


def test_a_map_step_counts_by_its_items_and_is_one_of_its_workflows_steps() -> None:
    events = began(*"abcde")
    assert told(events)["percent"] == 0
    for item in range(3):
        events += moved(events, "complete", item)
    progress = told(events, after(seconds=7))
    assert progress["percent"] == 30
    assert progress["current"] == ["each"]
    assert progress["steps"] == {
        "total": 2,
        "pending": 1,
        "running": 1,
        "retrying": 0,
        "completed": 0,
        "failed": 0,
        "skipped": 0,
        "cancelled": 0,
    }
    (items,) = progress["items"]
    assert items.items() >= {"stepType": "each", "total": 5, "completed": 3, "running": 2}.items()
    assert progress["elapsedMs"] == 7000
    for item in range(3, 5):
        events += moved(events, "complete", item)
    assert told(events)["percent"] == 50


def test_what_is_left_is_never_negative_and_only_told_of_what_runs() -> None:
    events = began(*"ab")
    assert "estimatedRemainingMs" not in told(events)
    typical = timedelta(seconds=10)
    assert told(events, after(seconds=4), typical)["estimatedRemainingMs"] == 6000
    assert told(events, after(seconds=40), typical)["estimatedRemainingMs"] == 0
    assert told(events, after(seconds=-4), typical)["elapsedMs"] == 0, "a clock may be set back"
    state = fold(workflow.evolve, events)
    paused = [*events, *workflow.pause(state, reason="lunch", now=NOW)]
    assert "estimatedRemainingMs" not in told(paused, NOW, typical)


def test_the_time_of_a_workflow_that_has_ended_stands_still() -> None:
    events = began()
    events += workflow.complete_step(
        fold(workflow.evolve, events), step_type="last", result={}, now=after(seconds=3)
    )
    progress = told(events, after(days=1), timedelta(seconds=1))
    assert (progress["percent"], progress["status"], progress["elapsedMs"]) == (100, "completed", 3000)
    assert progress["current"] == []
    assert "estimatedRemainingMs" not in progress


@pytest.mark.parametrize("status", ["pending", "cancelled"])
def test_one_that_has_not_begun_has_done_nothing(status: str) -> None:
    waiting = {"workflowId": "w", "status": status, "steps": [], "completedAt": NOW.isoformat()}
    progress = progress_of(waiting, {}, NOW)
    assert (progress["percent"], progress["steps"]["total"], progress["elapsedMs"]) == (0, 0, 0)


def test_of_one_of_the_service_before_that_does_not_say_when_it_ended_the_rest_is_told() -> None:
    """The wire contract leaves ``completedAt`` open."""
    left = {"workflowId": "w", "status": "failed", "steps": [], "startedAt": NOW.isoformat()}
    progress = progress_of(left, {}, after(seconds=2))
    assert (progress["status"], progress["elapsedMs"]) == ("failed", 2000)
    assert "completedAt" not in progress
