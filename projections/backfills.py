"""``workflow_backfills``: one document a backfill, with how far it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.backfill import (
    BackfillCancelled,
    BackfillEnded,
    BackfillEvent,
    BackfillRequested,
    BackfillWindowCompleted,
    BackfillWindowFailed,
    BackfillWindowStarted,
    BackfillWindowTriedAgain,
    Plan,
    Window,
    as_text,
)
from domain.event import Event, Recorded
from domain.values import timestamp
from projections.ports import Container, Json
from projections.projection import existing

MOST_FAILED_SHOWN = 100
"""The first of those that failed; ``progress`` counts them all."""


class Backfills:
    """The fold of ``workflow_backfills``."""

    category = "backfill"
    kinds = BackfillEvent

    def __init__(self, name: str = "workflow_backfills") -> None:
        self.container = Container(
            name,
            sort_field="createdAt",
            filter_fields=("job", "status"),
            filters_together=(("job", "status"),),
        )

    def reads(self, event: Event) -> Sequence[str]:
        """The backfill that an event is about."""
        if not isinstance(event, BackfillEvent):
            return ()
        return [event.plan.backfill_id if isinstance(event, BackfillRequested) else event.backfill_id]

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Follow the backfill."""
        event = recorded.event
        assert isinstance(event, BackfillEvent)
        now = timestamp(recorded.timestamp)
        if isinstance(event, BackfillRequested):
            return {event.plan.backfill_id: _requested(event.plan, recorded.meta.tenant, now)}
        known = existing(documents, event.backfill_id) | {"updatedAt": now}
        return {event.backfill_id: _changed(known, event)}


def window_json(window: Window) -> Json:
    """A window as it is shown: its number, its ends as the worker reads them, and its run."""
    return {
        "number": window.number,
        "from": window.metadata["from"],
        "to": window.metadata["to"],
        "runId": window.run_id,
    }


def _requested(plan: Plan, tenant: str, now: str) -> Json:
    return {
        "id": plan.backfill_id,
        "backfillId": plan.backfill_id,
        "tenantId": tenant,
        "job": plan.job,
        "status": "running",
        "actor": plan.by,
        "from": as_text(plan.starts_at, plan.form),
        "to": as_text(plan.ends_at, plan.form),
        "windowDays": plan.window_days,
        "maxActive": plan.max_active,
        "metadata": plan.metadata,
        "progress": {
            "total": plan.total,
            "pending": plan.total,
            "open": 0,
            "completed": 0,
            "failed": 0,
            "percent": 0,
        },
        "openWindows": [],
        "failedWindows": [],
        "createdAt": now,
        "updatedAt": now,
    }


def _changed(known: Json, event: Event) -> Json:
    match event:
        case BackfillWindowStarted():
            window: Json = {
                "number": event.number,
                "from": event.metadata["from"],
                "to": event.metadata["to"],
                "runId": event.run_id,
                "attempt": 1,
                "startedAt": timestamp(event.started_at),
            }
            return _moved(known, "pending", "open") | {"openWindows": [*known["openWindows"], window]}
        case BackfillWindowTriedAgain():
            again = {"runId": event.run_id, "attempt": event.attempt}
            windows = [
                each | again if each["number"] == event.number else each for each in known["openWindows"]
            ]
            return known | {"openWindows": windows}
        case BackfillWindowCompleted(late=True):
            return _moved(known, "failed", "completed") | _without(known, "failedWindows", event.number)
        case BackfillWindowCompleted():
            return _moved(known, "open", "completed") | _without(known, "openWindows", event.number)
        case BackfillWindowFailed():
            return _moved(known, "open", "failed") | _failed(known, event)
        case BackfillCancelled():
            return known | {
                "status": "cancelling",
                "cancelledBy": event.by,
                "cancelReason": event.reason,
                "cancelledAt": timestamp(event.cancelled_at),
            }
        case BackfillEnded():
            return known | {"status": event.outcome, "endedAt": timestamp(event.ended_at)}
    return known


def _failed(known: Json, event: BackfillWindowFailed) -> Json:
    opened = next(each for each in known["openWindows"] if each["number"] == event.number)
    failed: Json = {
        **opened,
        "status": event.reason,
        "failedAt": timestamp(event.failed_at),
        **({} if event.error is None else {"error": event.error}),
    }
    shown = [*known["failedWindows"], failed][:MOST_FAILED_SHOWN]
    return _without(known, "openWindows", event.number) | {"failedWindows": shown}


def _without(known: Json, windows: str, number: int) -> Json:
    return {windows: [each for each in known[windows] if each["number"] != number]}


def _moved(known: Json, before: str, after: str) -> Json:
    """One window more here, one less there, and what that comes to in whole percents that have ended."""
    counts: dict[str, Any] = dict(known["progress"])
    counts[before] -= 1
    counts[after] += 1
    counts["percent"] = 100 * (counts["completed"] + counts["failed"]) // counts["total"]
    return known | {"progress": counts}
