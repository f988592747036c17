"""The documents: those that the log calls for and no others, where they belong, as a rebuild gives them."""

from collections.abc import Iterator

from tests.chaos.campaign.checks.case import Case, Finding
from tests.chaos.campaign.checks.log import workflow_state
from tests.chaos.campaign.stored import StoredDocument, StoredEvent

Place = tuple[str, str, str]
"""Container, tenant, id."""

APPROVAL_STATUS = {
    "approval.requested": "pending",
    "approval.approved": "approved",
    "approval.rejected": "rejected",
}
RUN_STATUS = {
    "job.fired": "scheduled",
    "job.run_published": "published",
    "job.run_completed": "completed",
    "job.run_failed": "failed",
    "job.run_timed_out": "timed_out",
    "job.run_missed": "missed",
    "job.run_skipped": "skipped",
}


def check(case: Case) -> Iterator[Finding]:
    """The documents as the log calls for them, folded here anew: there, at home, and in the right status."""
    wanted: dict[Place, str] = {}
    for stream, events in case.streams.items():
        wanted.update(_called_for(stream, events))
    there = {place_of(document): document for document in case.documents}
    for place, status in wanted.items():
        document = there.get(place)
        if document is None:
            yield Finding(kind="lost", about=place[2], what=f"there is no document in {place[0]}")
        elif document.body.get("status") != status:
            what = f"{place[0]} says {document.body.get('status')}, the log {status}"
            yield Finding(kind="differs", about=place[2], what=what)
    for place, document in there.items():
        if place not in wanted:
            yield Finding(kind="invented", about=place[2], what=f"a document of nothing in {place[:2]}")
        if document.body.get("tenantId") != document.tenant:
            what = f"{place[:2]} holds a document of {document.body.get('tenantId')}"
            yield Finding(kind="crossed", about=place[2], what=what)


def check_rebuild(case: Case) -> Iterator[Finding]:
    """The documents before and after a rebuild, to the byte; in Cosmos DB as JSON."""
    before = {place_of(document): document for document in case.documents}
    after = {place_of(document): document for document in case.rebuilt}
    for place in sorted(before.keys() | after.keys()):
        old, new = before.get(place), after.get(place)
        if old is None or new is None:
            which = "only a rebuild" if old is None else "no rebuild"
            yield Finding(kind="differs", about=place[2], what=f"{which} makes it in {place[:2]}")
        elif (old.version, old.exact) != (new.version, new.exact):
            what = f"{place[:2]} had version {old.version}: {old.exact}; a rebuild {new.version}: {new.exact}"
            yield Finding(kind="differs", about=place[2], what=what)


def place_of(document: StoredDocument) -> Place:
    """Where a document was found."""
    return document.container, document.tenant, document.id


def _called_for(stream: str, events: list[StoredEvent]) -> Iterator[tuple[Place, str]]:
    """Each document that a stream makes, and its status."""
    tenant, category, ident = stream.split("/", 2)
    match category:
        case "approval":
            yield ("hitl_approvals", tenant, ident), APPROVAL_STATUS[events[-1].topic]
        case "job":
            runs: dict[str, str] = {}
            for event in events:
                run_id = event.data.get("run_id", "")
                noted_late = event.topic == "job.run_published" and runs.get(run_id) != "scheduled"
                if run_id and not noted_late:
                    runs[run_id] = RUN_STATUS.get(event.topic) or event.data["outcome"]
            for run_id, status in runs.items():
                yield ("workflow_job_runs", tenant, run_id), status
        case "workflow":
            state = workflow_state(events)
            yield ("workflow_workflows", tenant, ident), state.status
            for step_id, status in state.steps.items():
                yield ("workflow_steps", tenant, step_id), status
            for execution in state.executions[:-1]:
                yield ("workflow_executions", tenant, execution), _ended(execution, events)
            for execution in state.executions[-1:]:
                yield ("workflow_executions", tenant, execution), state.status


def _ended(execution: str, events: list[StoredEvent]) -> str:
    """How an execution ended that another one followed."""
    for event in events:
        if event.data.get("execution_id") == execution and event.topic in (
            "workflow.completed",
            "workflow.failed",
        ):
            return "completed" if event.topic == "workflow.completed" else "failed"
    return "running"
