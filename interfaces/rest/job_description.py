"""A job as the API shows it: its settings, its state and last run, and its next firings."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from domain import job
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
    """Return a job as it was at a moment, with the current settings."""
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


class JobAsOf:
    """A job as it was at some moment, folded from its events part by part."""

    def __init__(self, runs: JobRuns) -> None:
        self.state: BatchJob | None = None
        self.version = 0
        self.at: datetime | None = None
        """The time of the last event."""
        self._runs = runs
        self._known: set[str] = set()
        self._newest = "", ""
        """The start of the newest run, and its ID. The list of the job's runs shows this run first."""
        self._of_newest: list[Recorded] = []

    def take(self, events: Sequence[Recorded]) -> None:
        """Fold the next events of the job."""
        for recorded in events:
            self.state = job.evolve(self.state, recorded.event)
            self.version, self.at = recorded.version, recorded.timestamp
            for run_id in self._runs.reads(recorded.event):
                began = timestamp(recorded.timestamp), run_id
                if run_id not in self._known and began > self._newest:
                    self._newest, self._of_newest = began, []
                self._known.add(run_id)
                if run_id == self._newest[1]:
                    self._of_newest.append(recorded)

    def last_run(self) -> bytes | None:
        """Return the document of the newest run, or None if there is none."""
        return document_of(self._runs, self._newest[1], self._of_newest) if self._of_newest else None
