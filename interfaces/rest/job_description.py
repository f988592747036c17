"""A job as people see it: what the settings say of it, what came of it, and what is to come."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from domain.event import Recorded
from domain.job import BatchJob, JobDefinition
from domain.values import timestamp
from interfaces.scheduling.cron import UnixCron
from projections.job_runs import JobRuns
from projections.projection import document_of

SHOWN_FIRINGS = 5


def described(
    definition: JobDefinition,
    schedule: UnixCron,
    state: BatchJob | None,
    last_run: bytes | None,
    now: datetime,
) -> dict[str, Any]:
    """The job at a moment; the settings are those of today."""
    policy = definition.policy
    upcoming = schedule.upcoming(now, SHOWN_FIRINGS if definition.enabled else 0)
    told: dict[str, Any] = {
        "job": definition.name,
        "cron": definition.schedule.cron,
        "timeZone": definition.schedule.time_zone,
        "enabled": definition.enabled,
        "paused": False,
        "openRuns": len(state.open_runs) if state else 0,
        "policy": {
            "overlap": policy.overlap,
            "catchUp": policy.catch_up,
            "catchUpSeconds": policy.catch_up_seconds,
            "jitterSeconds": policy.jitter_seconds,
            "deadlineSeconds": policy.deadline_seconds,
            "attempts": policy.retries.attempts,
        },
        "nextFireTimes": [timestamp(moment) for moment in upcoming],
    }
    if state is not None and state.pause is not None:
        told["paused"] = True
        told["pausedBy"] = state.pause.by
        told["pausedAt"] = timestamp(state.pause.since)
        told["pauseReason"] = state.pause.reason
    if definition.metadata_schema:
        told["metadataSchema"] = definition.metadata_schema
    if last_run is not None:
        told["lastRun"] = msgspec.Raw(last_run)
    return told


def last_run_of(runs: JobRuns, events: Sequence[Recorded]) -> bytes | None:
    """The newest run in a job's events, as the list of its runs would show it first."""
    began: dict[str, str] = {}
    for recorded in events:
        for run_id in runs.reads(recorded.event):
            began.setdefault(run_id, timestamp(recorded.timestamp))
    if not began:
        return None
    newest = max(began, key=lambda run_id: (began[run_id], run_id))
    of_it = [recorded for recorded in events if newest in runs.reads(recorded.event)]
    return document_of(runs, newest, of_it)
