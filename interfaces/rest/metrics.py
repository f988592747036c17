"""Metrics, named as on the existing dashboards (wire contract, section 6), and ours beside them."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
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
    """What anchors the heads of the audit trail."""

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
            "Events that commands of this process have stored.",
            ("type",),
            registry=self.registry,
        )
        self._requests = Counter(
            "http_requests", "HTTP requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._duration = Histogram(
            "http_request_duration_seconds",
            "Seconds from a request's arrival to the end of its answer.",
            ("method", "route"),
            registry=self.registry,
        )
        self._request_series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._triggers = Counter(
            "batch_job_triggers",
            "Job triggers published and confirmed.",
            ("batch_job",),
            registry=self.registry,
        )
        self._consumed = Counter(
            "messages_consumed", "Messages taken in, by outcome.", ("type", "outcome"), registry=self.registry
        )
        self._published = Counter(
            "messages_published", "Messages published and confirmed.", ("type",), registry=self.registry
        )
        self._refused = Counter(
            "messages_refused",
            "Messages given up, since the broker takes none like them.",
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
            "Seconds that Cosmos DB took for a call, with every try of it.",
            ("container", "operation"),
            registry=self.registry,
        )

        self._step_calls = Counter(
            "http_step_calls",
            "Calls that workflow steps wanted made, by what came of them.",
            ("service", "outcome"),
            registry=self.registry,
        )
        self._step_call_duration = Histogram(
            "http_step_call_duration_seconds",
            "Seconds that a call of a workflow step took.",
            ("service",),
            registry=self.registry,
        )
        self._set_back = Counter(
            "clock_set_back", "Times that a clock by which timers go was set back.", registry=self.registry
        )
        self._heartbeats = Counter(
            "scheduler_heartbeats",
            "Heartbeats of the scheduler, by whether they were answered.",
            ("outcome",),
            registry=self.registry,
        )

    def events_appended(self, partition: str, committed: Iterable[Committed], before: int) -> None:
        """Count what an append has stored; the event store tells of it so."""
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
        """Count a call of a workflow step; one that was not made took no time."""
        self._step_calls.labels(service, outcome).inc()
        if seconds:
            self._step_call_duration.labels(service).observe(seconds)

    def heartbeat(self, was_answered: bool) -> None:
        """Count a heartbeat; of both kinds there is a number from the first on, so that a rise is seen."""
        for outcome in ("answered", "failed"):
            self._heartbeats.labels(outcome).inc(was_answered == (outcome == "answered"))

    def clock_set_back(self) -> None:
        """Count that the clock was set back while timers went by it."""
        self._set_back.inc()

    def message_consumed(self, message_type: str, outcome: str) -> None:
        """Count a message taken in."""
        self._consumed.labels(message_type, outcome).inc()

    def message_published(self, message: PublicMessage) -> None:
        """Count a confirmed message."""
        self._published.labels(message.type).inc()
        if message.mandatory:
            self._triggers.labels(str(message.data["job"])).inc()

    def message_refused(self, message: PublicMessage) -> None:
        """Count a message that the broker will never take."""
        self._refused.labels(message.type).inc()

    def introduce(self, version: str, roles: Iterable[str]) -> None:
        """Say which release this process runs, and in which roles."""
        about = Info(
            "workflow_orchestrator", "The release of this process, and its roles.", registry=self.registry
        )
        about.info({"version": version, "roles": ",".join(roles)})

    def tell_master_key(self, fingerprint: str) -> None:
        """Say with which master key this process wraps personal keys."""
        about = Info("privacy_master_key", "The present master key of this process.", registry=self.registry)
        about.info({"fingerprint": fingerprint})

    def watch_followers(self, statuses: Callable[[], Sequence[FollowerStatus]]) -> None:
        """Show the followers' lag, state and failures at each scrape."""
        self.registry.register(_Followers(statuses))

    def watch_leases(self, held: Callable[[], Mapping[str, bool]]) -> None:
        """Show which parts this instance does, at each scrape."""
        self.registry.register(_Leases(held))

    def watch_circuits(self, states: Callable[[], Mapping[str, str]]) -> None:
        """Show which services are left alone, at each scrape."""
        self.registry.register(_Circuits(states))

    def watch_anchoring(self, anchoring: Anchoring) -> None:
        """Show whether the audit trail's heads are anchored in time, and still there, at each scrape."""
        self.registry.register(_Anchoring(anchoring))

    def watch_partitions(self, fullest: Callable[[], Fill | None]) -> None:
        """Show how full the log's fullest partition is, at each scrape."""
        self.registry.register(_Partitions(fullest))

    def watch_log(self, lost_lines: Callable[[], int]) -> None:
        """Show how many lines of the process's log are lost, at each scrape."""
        self.registry.register(_Lines(lost_lines))

    def watch_approvals(self, is_stale: Callable[[], bool]) -> None:
        """Show whether older approval policies hold than those in their file, at each scrape."""
        self.registry.register(_ApprovalsFile(is_stale))

    def watch_clock(self, ahead_seconds: Callable[[], float]) -> None:
        """Show how far the process's clock is ahead of the event store's, at each scrape."""
        self.registry.register(_Clock(ahead_seconds))

    def watch_jobs(self, jobs: Collector) -> None:
        """Show how each job fares, at each scrape."""
        self.registry.register(jobs)

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


class _Leases(Collector):
    def __init__(self, held: Callable[[], Mapping[str, bool]]) -> None:
        self._held = held

    def collect(self) -> Iterable[Metric]:
        held = GaugeMetricFamily(
            "lease_held", "1 while this instance does what one at a time does.", labels=["part"]
        )
        for part, is_held in self._held().items():
            held.add_metric([part], float(is_held))
        return (held,)


class _Partitions(Collector):
    def __init__(self, fullest: Callable[[], Fill | None]) -> None:
        self._fullest = fullest

    def collect(self) -> Iterable[Metric]:
        share = GaugeMetricFamily(
            "event_log_fullest_partition_ratio",
            "Of what a partition of the log takes, how much the fullest has; 0 where there is no such limit.",
        )
        size = GaugeMetricFamily("event_log_fullest_partition_bytes", "Its bytes, without indexes.")
        events = GaugeMetricFamily("event_log_fullest_partition_events", "Its events.")
        if (fullest := self._fullest()) is None:
            share.add_metric([], 0)
            return (share,)
        share.add_metric([], fullest.share)
        size.add_metric([], fullest.bytes)
        events.add_metric([], fullest.events)
        return (share, size, events)


class _Lines(Collector):
    def __init__(self, lost: Callable[[], int]) -> None:
        self._lost = lost

    def collect(self) -> Iterable[Metric]:
        lost = CounterMetricFamily(
            "log_lines_lost", "Lines of the process's log that could not be written, since start."
        )
        lost.add_metric([], self._lost())
        return (lost,)


class _ApprovalsFile(Collector):
    def __init__(self, is_stale: Callable[[], bool]) -> None:
        self._is_stale = is_stale

    def collect(self) -> Iterable[Metric]:
        stale = GaugeMetricFamily(
            "approvals_file_stale",
            "1 while the approvals file is bad or gone, and what it said before holds.",
        )
        stale.add_metric([], float(self._is_stale()))
        return (stale,)


class _Clock(Collector):
    def __init__(self, ahead_seconds: Callable[[], float]) -> None:
        self._ahead_seconds = ahead_seconds

    def collect(self) -> Iterable[Metric]:
        skew = GaugeMetricFamily(
            "clock_skew_seconds",
            "Seconds by which this process's clock is ahead of the event store's, at least; 0 in SQLite.",
        )
        skew.add_metric([], self._ahead_seconds())
        return (skew,)


class _Anchoring(Collector):
    def __init__(self, anchoring: Anchoring) -> None:
        self._anchoring = anchoring

    def collect(self) -> Iterable[Metric]:
        lost = CounterMetricFamily(
            "audit_heads_lost",
            "Anchored heads that the log no longer had when their tenants' next ones were, since start.",
        )
        lost.add_metric([], self._anchoring.lost_heads)
        due = GaugeMetricFamily(
            "audit_anchor_due_timestamp_seconds",
            "Unix time by which all heads are to be anchored again; take the max over the instances.",
        )
        if self._anchoring.due_at is not None:
            due.add_metric([], self._anchoring.due_at.timestamp())
        return (lost, due)


class _Circuits(Collector):
    def __init__(self, states: Callable[[], Mapping[str, str]]) -> None:
        self._states = states

    def collect(self) -> Iterable[Metric]:
        circuits = GaugeMetricFamily(
            "http_step_circuit",
            "1 for the worst state that a tenant's circuit to a service is in.",
            labels=["service", "state"],
        )
        for service, present in self._states().items():
            for state in STATES:
                circuits.add_metric([service, state], float(state == present))
        return (circuits,)


class _Followers(Collector):
    def __init__(self, statuses: Callable[[], Sequence[FollowerStatus]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterable[Metric]:
        lag = GaugeMetricFamily(
            "follower_lag_seconds", "Age of the oldest event not yet handled.", labels=["follower"]
        )
        failing = GaugeMetricFamily(
            "follower_failing", "1 while the follower's handler fails.", labels=["follower"]
        )
        handled = CounterMetricFamily(
            "follower_handled_events", "Events handled since start.", labels=["follower"]
        )
        failures = CounterMetricFamily(
            "follower_failures", "Failed attempts since start.", labels=["follower"]
        )
        for status in self._statuses():
            lag.add_metric([status.name], status.lag_seconds)
            failing.add_metric([status.name], float(status.state == "failing"))
            handled.add_metric([status.name], status.handled)
            failures.add_metric([status.name], status.failures)
        return (lag, failing, handled, failures)
