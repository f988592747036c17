"""The metrics of the jobs, computed at each scrape from the events of the log
(:mod:`application.job_health`).

Each instance with the role ``scheduler`` shows the same values, so take ``max by (batch_job)`` over the
instances, never ``sum``. A job is shown only after its stream has been read to the end: if the totals rose
during a start, that would look like a thousand failed runs.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from application.job_health import LATENESS_BOUNDS, OUTCOMES, JobHealth, Lateness
from application.jobs import Jobs
from application.ports import Clock
from interfaces.scheduling.cron import UnixCron
from interfaces.scheduling.expected import success_due_at
from interfaces.scheduling.job_health import JobStanding

_JOB = ("batch_job",)

_BOUNDS = (*(f"{bound:.1f}" for bound in LATENESS_BOUNDS), "+Inf")


class JobMetrics(Collector):
    """The metrics of all jobs."""

    def __init__(
        self,
        jobs: Jobs,
        schedules: Mapping[str, UnixCron],
        standings: Callable[[], Mapping[str, JobStanding]],
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._schedules = schedules
        self._standings = standings
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """Return every metric family, with the values of each job that is known."""
        now, shown = self._clock.now(), _Families()
        for job, standing in self._standings().items():
            shown.add(job, standing.health, now)
            definition, schedule = self._jobs.find(job), self._schedules[job]
            if definition.enabled:
                shown.next_firing.add_metric([job], schedule.next_after(now).timestamp())
            due_at = success_due_at(definition, schedule, standing)
            if due_at is not None:
                shown.success_due.add_metric([job], due_at.timestamp())
        return shown.all()


class _Families:
    def __init__(self) -> None:
        self.success_age = _gauge(
            "last_success_age_seconds", "Age of the job's last reported success, without backfills."
        )
        self.success_at = _gauge(
            "last_success_timestamp_seconds",
            "Unix time of the job's last reported success, without backfills.",
        )
        self.success_due = _gauge(
            "success_due_timestamp_seconds",
            "Unix time by which the job must have succeeded again, by its cron and its rules; absent while"
            " the job is paused or disabled.",
        )
        self.next_firing = _gauge(
            "next_firing_timestamp_seconds", "Unix time of the next firing; absent while the job is disabled."
        )
        self.open_runs = _gauge("open_runs", "Runs whose trigger is or was sent, and that have not ended.")
        self.open_age = _gauge(
            "oldest_open_run_age_seconds", "Age of the oldest open run; 0 if there is none."
        )
        self.overdue = _gauge(
            "open_run_overdue_seconds",
            "Seconds since an open run should have timed out; 0 unless the timers do not work.",
        )
        self.waiting = _gauge("waiting_runs", "Runs whose trigger is held back by jitter or by an open run.")
        self.paused = _gauge("paused", "1 while the job is paused.")
        self.last_run = GaugeMetricFamily(
            "batch_job_last_run_timestamp_seconds",
            "Unix time of the last run with this outcome, including missed and skipped; without backfills.",
            labels=("batch_job", "outcome"),
        )
        self.runs = CounterMetricFamily(
            "batch_job_runs",
            "Runs since the log began, by outcome; a run that is reported after its time-out counts twice.",
            labels=("batch_job", "outcome"),
        )
        self.unmatched = CounterMetricFamily(
            "batch_job_reports_unmatched",
            "Reports of workers that belonged to no run, since the log began.",
            labels=("batch_job", "outcome"),
        )
        self.lateness = HistogramMetricFamily(
            "batch_job_lateness_seconds",
            "Seconds from the nominal time of a firing to its trigger, since the log began.",
            labels=_JOB,
        )
        self.last_lateness = _gauge(
            "last_lateness_seconds", "Seconds from the nominal time of the last firing to its trigger."
        )

    def all(self) -> Iterable[Metric]:
        """Return all families."""
        return tuple(vars(self).values())

    def add(self, job: str, health: JobHealth, now: datetime) -> None:
        """Add the values of a job, as its events in the log give them."""
        if health.last_success_at is not None:
            self.success_age.add_metric([job], _seconds(health.last_success_at, now))
            self.success_at.add_metric([job], health.last_success_at.timestamp())
        self.open_runs.add_metric([job], len(health.open_runs))
        self.open_age.add_metric([job], _seconds(health.open_since, now))
        self.overdue.add_metric([job], _seconds(health.report_due_at, now))
        self.waiting.add_metric([job], len(health.waiting))
        self.paused.add_metric([job], float(health.paused))
        for outcome in OUTCOMES:
            self.runs.add_metric([job, outcome], health.runs.get(outcome, 0))
            if outcome in health.last:
                self.last_run.add_metric([job, outcome], health.last[outcome].timestamp())
        for reported in ("completed", "failed"):
            self.unmatched.add_metric([job, reported], health.unmatched.get(reported, 0))
        self._add_lateness(job, health.lateness)

    def _add_lateness(self, job: str, lateness: Lateness) -> None:
        buckets = list(zip(_BOUNDS, map(float, accumulate(lateness.counts)), strict=True))
        self.lateness.add_metric([job], buckets=buckets, sum_value=lateness.seconds)
        if lateness.last is not None:
            self.last_lateness.add_metric([job], lateness.last)


def _gauge(name: str, documentation: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"batch_job_{name}", documentation, labels=_JOB)


def _seconds(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
