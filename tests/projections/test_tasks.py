"""``workflow_tasks``: a task's document, and the candidates that claims find there."""

import msgspec
import pytest

from domain.event import Event
from domain.task import TaskOffered, task_stream
from projections.projection import Materializer, ProjectionGap, document_of
from projections.tasks import TaskCandidates, Tasks
from tests.builders import LEASE, NOW, OTHER_TENANT, TENANT, after, recorded
from tests.contract.contract import validate_document
from tests.projections.memory_documents import MemoryDocuments
from tests.samples_tasks import TASK_EVENTS

OFFERED, CLAIMED, EXTENDED, RELEASED, EXPIRED, COMPLETED, FAILED, REVOKED = TASK_EVENTS


def folded(*events: Event) -> dict[str, object]:
    """The document after the offer and these."""
    found = document_of(Tasks(), "task-1", recorded(task_stream(TENANT, "task-1"), [OFFERED, *events]))
    document: dict[str, object] = msgspec.json.decode(found)
    return document


def shown(*events: Event) -> dict[str, object]:
    """What changes about an offered task by these events, but for the time of the change."""
    before, document = folded(), folded(*events)
    assert before.keys() <= document.keys()
    return {name: document[name] for name in document if document[name] != before.get(name)} | {
        "updatedAt": None
    }


def test_an_offered_task_tells_what_is_to_be_done() -> None:
    assert folded() == {
        "id": "task-1",
        "taskId": "task-1",
        "tenantId": TENANT,
        "queue": "reports",
        "status": "offered",
        "workflowId": "w-1",
        "stepId": "step-1",
        "stepType": "write_report",
        "attempt": 1,
        "claims": 0,
        "input": {"opportunity": "opp-1", "parts": [1, 2.5, None]},
        "createdAt": "2026-11-22T22:10:05.123Z",
        "updatedAt": "2026-11-22T22:10:05.123Z",
        "deadlineAt": "2026-11-22T22:25:05.123Z",
    }


def test_a_claimed_task_tells_who_has_it_and_until_when() -> None:
    leased = {"status": "claimed", "claims": 1, "workerId": "worker-ü", "updatedAt": None}
    assert shown(CLAIMED) == leased | {"leaseUntil": "2026-11-22T22:11:06.123Z"}
    assert shown(CLAIMED, EXTENDED) == leased | {"leaseUntil": "2026-11-22T22:11:35.123Z"}


@pytest.mark.parametrize("back", [RELEASED, EXPIRED])
def test_a_task_that_is_back_is_as_it_was_but_for_the_claims(back: Event) -> None:
    assert shown(CLAIMED, back) == {"claims": 1, "updatedAt": None}


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (
            COMPLETED,
            {
                "status": "completed",
                "output": {"pages": 12, "by": None},
                "completedAt": "2026-11-22T22:11:25.123Z",
            },
        ),
        (
            FAILED,
            {
                "status": "failed",
                "error": "no ink",
                "retryable": False,
                "completedAt": "2026-11-22T22:11:25.123Z",
            },
        ),
        (
            REVOKED,
            {
                "status": "revoked",
                "reason": "the step was cancelled",
                "completedAt": "2026-11-22T22:11:15.123Z",
            },
        ),
    ],
)
def test_a_task_that_has_ended_tells_how_and_who_had_it(end: Event, told: dict[str, object]) -> None:
    assert shown(CLAIMED, end) == told | {"claims": 1, "workerId": "worker-ü", "updatedAt": None}


def test_no_document_holds_the_digest_of_a_lease() -> None:
    assert "igest" not in repr(folded(CLAIMED, EXTENDED, COMPLETED))


def test_a_missing_document_asks_for_a_rebuild() -> None:
    with pytest.raises(ProjectionGap, match="rebuild"):
        Tasks().apply({}, recorded(task_stream(TENANT, "task-1"), [CLAIMED], first_version=2)[0])


def test_the_fold_keeps_to_the_contract() -> None:
    id = "4a6f0d1e-0000-4000-8000-000000000001"
    ids = {"taskId": id, "id": id, "workflowId": id, "stepId": id}
    for events in ([], [CLAIMED], [CLAIMED, COMPLETED], [CLAIMED, FAILED], [REVOKED]):
        validate_document("Task", folded(*events) | ids)


@pytest.mark.anyio
async def test_candidates_are_a_tenants_and_a_queues_the_oldest_first() -> None:
    documents, tasks = MemoryDocuments(), Tasks()
    materializer = Materializer(tasks, documents)

    async def happened(tenant: str, id: str, queue: str, at: float, *events: Event) -> None:
        offered = TaskOffered(
            task_id=id,
            queue=queue,
            workflow_id="w",
            step_id="s",
            step_type="s",
            attempt=1,
            offered_at=NOW,
        )
        own = [msgspec.structs.replace(event, task_id=id) for event in events]
        await materializer.handle(
            recorded(task_stream(tenant, id), [offered, *own], at=after(seconds=at)), LEASE
        )

    await happened(TENANT, "young", "q", 3)
    await happened(TENANT, "old", "q", 1)
    await happened(TENANT, "back", "q", 2, CLAIMED, RELEASED)
    await happened(TENANT, "else", "other", 0)
    await happened(OTHER_TENANT, "theirs", "q", 0)
    await happened(TENANT, "done", "q", 0, CLAIMED, COMPLETED)
    await happened(TENANT, "held", "q", 0, CLAIMED)
    candidates = TaskCandidates(documents, tasks)
    page, more = await candidates.offered(TENANT, "q", after=None, limit=2)
    assert page == [("old", 1), ("back", 3)]
    assert (await candidates.offered(TENANT, "q", after=more, limit=2)) == ([("young", 1)], None)
    for seconds, expected in ((60.999, []), (61, [("held", 2)])):
        assert await candidates.expired(TENANT, "q", now=after(seconds=seconds), limit=5) == expected
