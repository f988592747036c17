"""The composition root: which part is built with which, by plain constructors."""

from contextlib import AsyncExitStack

import msgspec
from starlette.applications import Starlette

from application.audit.anchoring import Anchoring
from application.catalogue import ShippedDefinitions
from application.dispatcher import Dispatcher
from application.jobs import Jobs
from application.task_news import TaskNews
from application.watching import Watches
from config.approvals import ApprovalParts
from config.audit import build_anchoring, signer_of
from config.foundation import Foundation, lay_foundation
from config.handlers import build_handlers
from config.http_steps import HttpStepBuilder
from config.logs import lost_lines
from config.parts import Parts, build_parts
from config.rest import build_rest
from config.sections import Settings
from config.settings import DISTRIBUTION
from config.stores import Stores
from config.transport import Transport, build_consumer, build_transport
from config.versions import versions
from infrastructure.signatures import Ed25519Signer
from interfaces.messaging.consumer import MessageConsumer
from interfaces.rest.event_streams import EventStreams
from interfaces.rest.freshness import Freshness
from interfaces.rest.job_metrics import JobMetrics
from interfaces.rest.metrics import Metrics
from interfaces.scheduling.cron import UnixCron


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """The service, built and not yet running."""

    settings: Settings
    stores: Stores
    shipped: ShippedDefinitions
    approvals: ApprovalParts
    dispatch: Dispatcher
    consumer: MessageConsumer
    transport: Transport
    jobs: Jobs
    schedules: dict[str, UnixCron]
    parts: Parts
    metrics: Metrics
    task_news: TaskNews
    freshness: Freshness
    watches: Watches
    streams: EventStreams
    exports: EventStreams
    signer: Ed25519Signer | None
    app: Starlette


async def build(settings: Settings, stack: AsyncExitStack) -> Container:
    """Build the service. ``stack`` closes what was opened.

    Raises:
        CannotStart: a store cannot be used, or stayed away; or a shipped definition is invalid.
    """
    foundation = await lay_foundation(settings, stack)
    stores, clock, metrics = foundation.stores, foundation.clock, foundation.metrics
    handlers = build_handlers(foundation)
    dispatch = handlers.dispatch
    consumer = build_consumer(foundation, dispatch)
    transport = build_transport(foundation, consumer)
    http_steps = HttpStepBuilder(
        settings, stores.event_store, dispatch=dispatch, clock=clock, observe=metrics.step_call
    )
    signer = signer_of(settings)
    anchoring = build_anchoring(settings, stores, signer, transport.publisher, clock) if signer else None
    parts = build_parts(foundation, dispatch, transport, http_steps, anchoring)
    _watch(foundation, parts, http_steps, anchoring)
    rest = build_rest(foundation, handlers, transport, parts, signer)
    return Container(
        settings=settings,
        stores=stores,
        shipped=foundation.shipped,
        approvals=foundation.approvals,
        dispatch=dispatch,
        consumer=consumer,
        transport=transport,
        jobs=foundation.jobs,
        schedules=foundation.schedules,
        parts=parts,
        metrics=metrics,
        task_news=rest.task_news,
        freshness=rest.freshness,
        watches=rest.watches,
        streams=rest.streams,
        exports=rest.exports,
        signer=signer,
        app=rest.app,
    )


def _watch(
    foundation: Foundation, parts: Parts, http_steps: HttpStepBuilder, anchoring: Anchoring | None
) -> None:
    """Let the metrics show the state of the parts."""
    metrics, settings = foundation.metrics, foundation.settings
    metrics.introduce(versions()[DISTRIBUTION], sorted(settings.service.roles))
    if (master := foundation.stores.personal.master) is not None:
        metrics.tell_master_key(master.fingerprint)
    foundation.stores.event_store.tell_of_appends(metrics.events_appended)
    metrics.watch_followers(parts.statuses)
    metrics.watch_leases(parts.held)
    metrics.watch_partitions(foundation.stores.event_store.fullest)
    metrics.watch_log(lost_lines)
    metrics.watch_approvals(lambda: foundation.approvals.wrong() is not None)
    metrics.watch_clock(lambda: foundation.stores.store_clock.ahead_seconds)
    if (health := parts.job_health) is not None:
        metrics.watch_jobs(
            JobMetrics(foundation.jobs, foundation.schedules, lambda: health.standings, foundation.clock)
        )
    if anchoring is not None:
        metrics.watch_anchoring(anchoring)
    if "publisher" in settings.service.roles:
        metrics.watch_circuits(http_steps.circuits.states)
