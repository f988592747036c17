"""The log by itself: no gaps, no stream of two tenants, nothing that happened twice, nothing stuck."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil
from uuid import NAMESPACE_URL, uuid5

import msgspec

from tests.chaos.campaign.checks.case import SYSTEM_TENANT, Case, Finding, Kind
from tests.chaos.campaign.stored import StoredEvent

IDS = uuid5(NAMESPACE_URL, "urn:workflow-orchestrator:id")
ENDED = {"workflow.completed": "completed", "workflow.failed": "failed"}
STEP_ENDED = {"workflow.step_completed": "completed", "workflow.step_failed": "failed"}
DECIDED = ("approval.approved", "approval.rejected")
FIRST = {
    "approval": ("approval.requested",),
    "workflow": ("workflow.started", "workflow.queued"),
    "job": ("job.fired", "job.run_missed", "job.runs_missed", "job.report_unmatched"),
    "concurrency": ("concurrency.start_granted", "concurrency.start_debounced"),
}
RUN_ENDED = ("job.run_completed", "job.run_failed", "job.run_timed_out")
ID_FIELD = {"approval": "approval_id", "workflow": "workflow_id", "job": "job", "concurrency": "group"}


class WorkflowState(msgspec.Struct):
    """How a workflow stands, by its events alone."""

    status: str = "running"
    executions: list[str] = msgspec.field(default_factory=list)
    steps: dict[str, str] = msgspec.field(default_factory=dict)


def workflow_state(events: list[StoredEvent]) -> WorkflowState:
    """The fold of a workflow's stream."""
    state = WorkflowState()
    for event in events:
        match event.topic:
            case "workflow.queued":
                state.status = "pending"
            case "workflow.started":
                state.status = "running"
                state.executions.append(event.data["execution_id"])
                for step in event.data["steps"]:
                    name = "\x1f".join(("step", event.data["workflow_id"], step["step_type"]))
                    state.steps[str(uuid5(IDS, name))] = "pending"
            case "workflow.retried":
                state.status = "running"
                state.executions.append(event.data["execution_id"])
            case "workflow.step_dispatched":
                state.steps[event.data["step_id"]] = "running"
            case topic if topic in STEP_ENDED:
                state.steps[event.data["step_id"]] = STEP_ENDED[topic]
            case topic if topic in ENDED:
                state.status = ENDED[topic]
    return state


def open_runs(events: list[StoredEvent]) -> list[str]:
    """The runs of a job that nobody has reported on."""
    closed = {event.data["run_id"] for event in events if event.topic in RUN_ENDED}
    return [event.data["run_id"] for event in events if event.topic == "job.fired"
            and event.data["run_id"] not in closed]  # fmt: skip


def check(case: Case) -> Iterator[Finding]:
    """Every stream."""
    positions = [event.position for event in case.events]
    if any(later <= earlier for earlier, later in pairwise(positions)):
        yield Finding(kind="disordered", about="log", what="ids do not increase")
    for job in case.minutely:
        yield from _check_firings(case, job)
    for stream, events in case.streams.items():
        yield from _check_versions(stream, events)
        yield from _check_belonging(stream, events)
        match stream.split("/")[1]:
            case "workflow":
                yield from _check_workflow(stream, events)
            case "approval":
                yield from _check_approval(stream, events)
            case "job":
                yield from _check_job(stream, events)
            case "concurrency":
                yield from _check_group(stream, events)


def _check_firings(case: Case, job: str) -> Iterator[Finding]:
    """Each minute has its firing, also those that nobody was there for. (Twice is found with the runs.)"""
    events = case.streams.get(f"{SYSTEM_TENANT}/job/{job}", [])
    fired_by_cron = [event for event in events if event.topic == "job.fired" and "nominal_at" in event.data]
    nominal = [event.data["nominal_at"] for event in fired_by_cron]
    fired = {datetime.fromisoformat(text).timestamp() for text in nominal}
    minute = ceil(case.began / 60) * 60
    while minute <= case.ended:
        if minute not in fired:
            when = datetime.fromtimestamp(minute, UTC).isoformat()
            yield Finding(kind="lost", about=job, what=f"it has not fired at {when}")
        minute += 60


def _check_versions(stream: str, events: list[StoredEvent]) -> Iterator[Finding]:
    versions = [event.version for event in events]
    if versions != list(range(1, len(events) + 1)):
        kind: Kind = "doubled" if len(set(versions)) < len(versions) else "lost"
        yield Finding(kind=kind, about=stream, what=f"its versions are {_shortened(versions)}")


def _check_belonging(stream: str, events: list[StoredEvent]) -> Iterator[Finding]:
    tenant, category, ident = stream.split("/", 2)
    if events[0].topic not in FIRST[category]:
        yield Finding(kind="lost", about=stream, what=f"begins with {events[0].topic}")
    if category == "job" and tenant != SYSTEM_TENANT:
        yield Finding(kind="crossed", about=stream, what="a job outside the system tenant")
    for event in events:
        if event.meta["tenant"] != tenant:
            yield Finding(kind="crossed", about=stream, what=f"holds an event of {event.meta['tenant']}")
        if event.data[ID_FIELD[category]] != ident:
            yield Finding(kind="crossed", about=stream, what=f"holds an event about {event.data}")


def _check_workflow(stream: str, events: list[StoredEvent]) -> Iterator[Finding]:
    happened = Counter[tuple[str, ...]]()
    for event in events:
        data = event.data
        match event.topic:
            case "workflow.step_dispatched":
                happened["dispatched", data["step_id"], str(data["attempt"])] += 1
            case topic if topic in STEP_ENDED:
                happened["ended", data["step_id"], str(data["attempt"])] += 1
            case topic if topic in ENDED:
                happened["ended", data["execution_id"]] += 1
            case "workflow.started" | "workflow.retried":
                happened["opened", data["execution_id"]] += 1
    yield from _check_once(stream, happened)
    state = workflow_state(events)
    if state.status in ("running", "pending"):
        still = "runs" if state.status == "running" else "waits"
        yield Finding(kind="stuck", about=stream, what=f"it {still}, with steps {state.steps}")
    elif waiting := [step for step, status in state.steps.items() if status in ("running", "pending")]:
        yield Finding(kind="stuck", about=stream, what=f"has {state.status}, and waits for {waiting}")
    elif state.status == "completed" and events[-1].topic == "workflow.failed":
        yield Finding(kind="odd", about=stream, what="completed and failed")


def _check_group(stream: str, events: list[StoredEvent]) -> Iterator[Finding]:
    """Never two runs at once; at the end none, and nobody waits."""
    running: str | None = None
    waiting: set[str] = set()
    for event in events:
        match event.topic:
            case "concurrency.start_granted":
                if running is not None:
                    yield Finding(kind="odd", about=stream, what=f"grants a run beside {running}")
                running = event.data["start"]["workflow_id"]
                waiting.discard(running)
            case "concurrency.start_queued" | "concurrency.start_debounced":
                waiting.add(event.data["start"]["workflow_id"])
            case "concurrency.start_withdrawn":
                waiting.discard(event.data["workflow_id"])
            case "concurrency.run_ended":
                running = None
    if running or waiting:
        yield Finding(kind="stuck", about=stream, what=f"{running} runs, and {waiting} wait")


def _check_approval(stream: str, events: list[StoredEvent]) -> Iterator[Finding]:
    happened = Counter[tuple[str, ...]]()
    for event in events:
        happened[("decided",) if event.topic in DECIDED else (event.topic,)] += 1
    yield from _check_once(stream, happened)


def _check_job(stream: str, events: list[StoredEvent]) -> Iterator[Finding]:
    happened = Counter[tuple[str, ...]]()
    for event in events:
        if event.topic == "job.fired":
            happened["fired", event.data["run_id"]] += 1
            if nominal := event.data.get("nominal_at"):
                happened["fired for", nominal] += 1
        elif event.topic in RUN_ENDED:
            happened["closed", event.data["run_id"]] += 1
        elif "run_id" in event.data:
            happened[event.topic, event.data["run_id"]] += 1
    yield from _check_once(stream, happened)
    if still_open := open_runs(events):
        yield Finding(kind="stuck", about=stream, what=f"runs that nobody closed: {_shortened(still_open)}")


def _check_once(stream: str, happened: Counter[tuple[str, ...]]) -> Iterator[Finding]:
    for what, count in happened.items():
        if count > 1:
            yield Finding(kind="doubled", about=stream, what=f"{' '.join(what)} {count} times")


def _shortened(items: list[str] | list[int]) -> str:
    return f"{items[:8]}… ({len(items)})" if len(items) > 8 else str(items)
