"""Prometheus metrics: those of the platform's dashboards (wire contract, section 6), and the service's
own."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from application.circuit_breaker import STATES
from application.deciders import Committed
from application.event_log import Fill
from application.ports import PublicMessage
from projections.follower_status import FollowerStatus

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Anchoring(Protocol):
    """Anchors the heads of the audit trail."""

    lost_heads: int
    due_at: datetime | None


class Metrics:
    """Counters of one process, and gauges read at the moment of the scrape."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._appended = Counter(
            "events_appended",
            "Events stored by commands of this process.",
            ("type",),
            registry=self.registry,
        )
        self._requests = Counter(
            "http_requests", "HTTP requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._duration = Histogram(
            "http_request_duration_seconds",
            "Seconds from the arrival of a request to the end of its response.",
            ("method", "route"),
            registry=self.registry,
        )
        self._request_series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._triggers = Counter(
            "batch_job_triggers",
            "Job triggers that the broker has confirmed.",
            ("batch_job",),
            registry=self.registry,
        )
        self._consumed = Counter(
            "messages_consumed", "Messages received, by outcome.", ("type", "outcome"), registry=self.registry
        )
        self._published = Counter(
            "messages_published", "Messages that the broker has confirmed.", ("type",), registry=self.registry
        )
        self._refused = Counter(
            "messages_refused",
            "Messages given up because the broker will never accept them.",
            ("type",),
            registry=self.registry,
        )
        self._cosmos_charge = Counter(
            "cosmos_request_charge",
            "Request units charged by Cosmos DB.",
            ("container", "operation"),
            registry=self.registry,
        )
        self._cosmos_duration = Histogram(
            "cosmos_request_duration_seconds",
            "Seconds that a call to Cosmos DB took, including retries.",
            ("container", "operation"),
            registry=self.registry,
        )

        self._step_calls = Counter(
            "http_step_calls",
            "HTTP calls that workflow steps asked for, by outcome.",
            ("service", "outcome"),
            registry=self.registry,
        )
        self._step_call_duration = Histogram(
            "http_step_call_duration_seconds",
            "Seconds that an HTTP call of a workflow step took.",
            ("service",),
            registry=self.registry,
        )
        self._set_back = Counter(
            "clock_set_back", "Times that the clock of the timers was set back.", registry=self.registry
        )
        self._heartbeats = Counter(
            "scheduler_heartbeats",
            "Heartbeats that the scheduler sent, by outcome: answered or failed.",
            ("outcome",),
            registry=self.registry,
        )

    def events_appended(self, partition: str, committed: Iterable[Committed], before: int) -> None:
        """Count the events that an append has stored. The event store calls this after each append."""
        topics = Tally(recorded.event.TOPIC for each in committed for recorded in each.new)
        for topic, events in topics.items():
            self._appended.labels(topic).inc(events)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        series = self._request_series.get((method, route, status))
        if series is None:
            counter = self._requests.labels(method, route, str(status))
            series = (counter, self._duration.labels(method, route))
            self._request_series[(method, route, status)] = series
        series[0].inc()
        series[1].observe(seconds)

    def cosmos_request(self, container: str, operation: str, charge: float, seconds: float) -> None:
        """Count a call to Cosmos DB; ``charge`` is in request units."""
        self._cosmos_charge.labels(container, operation).inc(charge)
        self._cosmos_duration.labels(container, operation).observe(seconds)

    def step_call(self, service: str, outcome: str, seconds: float) -> None:
        """Count an HTTP call of a workflow step. ``seconds`` is 0 for a call that was not made."""
        self._step_calls.labels(service, outcome).inc()
        if seconds:
            self._step_call_duration.labels(service).observe(seconds)

    def heartbeat(self, was_answered: bool) -> None:
        """Count a heartbeat. Both outcomes exist from the first one on, so that an increase is seen."""
        for outcome in ("answered", "failed"):
            self._heartbeats.labels(outcome).inc(was_answered == (outcome == "answered"))

    def clock_set_back(self) -> None:
        """Count that the clock of the timers was set back."""
        self._set_back.inc()

    def message_consumed(self, message_type: str, outcome: str) -> None:
        """Count a message that was received."""
        self._consumed.labels(message_type, outcome).inc()

    def message_published(self, message: PublicMessage) -> None:
        """Count a confirmed message."""
        self._published.labels(message.type).inc()
        if message.mandatory:
            self._triggers.labels(str(message.data["job"])).inc()

    def message_refused(self, message: PublicMessage) -> None:
        """Count a message that the broker will never accept."""
        self._refused.labels(message.type).inc()

    def introduce(self, version: str, roles: Iterable[str]) -> None:
        """Show which release this process runs, and in which roles."""
        about = Info(
            "workflow_orchestrator", "The release and the roles of this process.", registry=self.registry
        )
        about.info({"version": version, "roles": ",".join(roles)})

    def tell_master_key(self, fingerprint: str) -> None:
        """Show which master key this process wraps personal keys with."""
        about = Info("privacy_master_key", "The present master key of this process.", registry=self.registry)
        about.info({"fingerprint": fingerprint})

    def watch_followers(self, statuses: Callable[[], Sequence[FollowerStatus]]) -> None:
        """Show at each scrape the followers' lag, state and failures."""
        self._watch(lambda: _of_followers(statuses()))

    def watch_leases(self, held: Callable[[], Mapping[str, bool]]) -> None:
        """Show at each scrape which parts this instance holds the leases of."""
        self._watch(lambda: _of_leases(held()))

    def watch_circuits(self, states: Callable[[], Mapping[str, str]]) -> None:
        """Show at each scrape the state of the circuit breaker to each service."""
        self._watch(lambda: _of_circuits(states()))

    def watch_anchoring(self, anchoring: Anchoring) -> None:
        """Show at each scrape whether the audit trail's heads are anchored in time and still in the log."""
        self._watch(lambda: _of_anchoring(anchoring))

    def watch_partitions(self, fullest: Callable[[], Fill | None]) -> None:
        """Show at each scrape how full the log's fullest partition is."""
        self._watch(lambda: _of_partition(fullest()))

    def watch_log(self, lost_lines: Callable[[], int]) -> None:
        """Show at each scrape how many lines of the process's log are lost."""
        self._watch(lambda: _of_log(lost_lines()))

    def watch_approvals(self, is_stale: Callable[[], bool]) -> None:
        """Show at each scrape whether the approval policies are older than those in their file."""
        stale = Gauge(
            "approvals_file_stale",
            "1 while the approvals file is invalid or missing; its last valid content applies.",
            registry=self.registry,
        )
        stale.set_function(lambda: float(is_stale()))

    def watch_clock(self, ahead_seconds: Callable[[], float]) -> None:
        """Show at each scrape how far the process's clock is ahead of the event store's."""
        skew = Gauge(
            "clock_skew_seconds",
            "Seconds by which this process's clock is at least ahead of the event store's; 0 with SQLite.",
            registry=self.registry,
        )
        skew.set_function(ahead_seconds)

    def watch_jobs(self, jobs: Collector) -> None:
        """Show at each scrape the metrics of the jobs."""
        self.registry.register(jobs)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _watch(self, read: Callable[[], Iterable[Metric]]) -> None:
        self.registry.register(_AtScrape(read))


class _AtScrape(Collector):
    """Metrics whose values are read anew at each scrape."""

    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        return self._read()


def _of_leases(held: Mapping[str, bool]) -> Iterable[Metric]:
    family = GaugeMetricFamily(
        "lease_held", "1 while this instance does this part, which one instance does.", labels=["part"]
    )
    for part, is_held in held.items():
        family.add_metric([part], float(is_held))
    return (family,)


def _of_partition(fullest: Fill | None) -> Iterable[Metric]:
    share = GaugeMetricFamily(
        "event_log_fullest_partition_ratio",
        "How full the fullest partition of the log is, from 0 to 1; 0 if the store has no limit.",
    )
    size = GaugeMetricFamily(
        "event_log_fullest_partition_bytes", "Bytes of events in that partition, without indexes."
    )
    events = GaugeMetricFamily("event_log_fullest_partition_events", "Events in that partition.")
    if fullest is None:
        share.add_metric([], 0)
        return (share,)
    share.add_metric([], fullest.share)
    size.add_metric([], fullest.bytes)
    events.add_metric([], fullest.events)
    return (share, size, events)


def _of_log(lost_lines: int) -> Iterable[Metric]:
    lost = CounterMetricFamily(
        "log_lines_lost", "Lines of the process's log that could not be written since it started."
    )
    lost.add_metric([], lost_lines)
    return (lost,)


def _of_anchoring(anchoring: Anchoring) -> Iterable[Metric]:
    lost = CounterMetricFamily(
        "audit_heads_lost",
        "Anchored heads that the log no longer had when the tenant was anchored again, since start.",
    )
    lost.add_metric([], anchoring.lost_heads)
    due = GaugeMetricFamily(
        "audit_anchor_due_timestamp_seconds",
        "Unix time by which all heads must be anchored again; take the max over instances.",
    )
    if anchoring.due_at is not None:
        due.add_metric([], anchoring.due_at.timestamp())
    return (lost, due)


def _of_circuits(states: Mapping[str, str]) -> Iterable[Metric]:
    circuits = GaugeMetricFamily(
        "http_step_circuit",
        "1 for the worst state of any tenant's circuit breaker to the service, 0 for the other states.",
        labels=["service", "state"],
    )
    for service, present in states.items():
        for state in STATES:
            circuits.add_metric([service, state], float(state == present))
    return (circuits,)


def _of_followers(statuses: Iterable[FollowerStatus]) -> Iterable[Metric]:
    lag = GaugeMetricFamily(
        "follower_lag_seconds", "Age of the oldest event that is not yet handled.", labels=["follower"]
    )
    failing = GaugeMetricFamily(
        "follower_failing", "1 while the follower fails to handle an event.", labels=["follower"]
    )
    handled = CounterMetricFamily(
        "follower_handled_events", "Events handled since the process started.", labels=["follower"]
    )
    failures = CounterMetricFamily(
        "follower_failures", "Failed attempts since the process started.", labels=["follower"]
    )
    for status in statuses:
        lag.add_metric([status.name], status.lag_seconds)
        failing.add_metric([status.name], float(status.state == "failing"))
        handled.add_metric([status.name], status.handled)
        failures.add_metric([status.name], status.failures)
    return (lag, failing, handled, failures)
