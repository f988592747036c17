"""The composition root: which part is built with which, by plain constructors."""

import os
import secrets
import socket
import time
from contextlib import AsyncExitStack
from importlib.metadata import version
from uuid import uuid4

import msgspec
from starlette.applications import Starlette

from application.approvals import ApprovalHandlers
from application.audit import indexing as audit
from application.backfills import BackfillHandlers
from application.chains import Chains
from application.definitions import Catalogue, ShippedDefinitions
from application.delegations import DelegationHandlers
from application.dispatcher import Dispatcher
from application.integration import Source
from application.jobs import JobHandlers, Jobs
from application.pacing import StartPace
from application.people import PeopleLookup
from application.publishing import DefinitionHandlers
from application.requests import RequestHandlers
from application.runs import RunHandlers
from application.shared_reads import SharedReads
from application.task_claims import TaskClaims
from application.task_news import TaskNews
from application.tasks import TaskHandlers
from application.triggers import ShippedTriggers
from application.watching import Watches
from application.workflows import WorkflowHandlers
from config.approvals import ApprovalParts, build_approvals
from config.audit import build_anchoring, build_trail, signer_of
from config.console import build_console
from config.definitions import platform_wire_types, shipped_definitions
from config.erasures import build_completing
from config.http_steps import HttpStepBuilder
from config.logs import lost_lines
from config.masking import masked_values
from config.origins import told_origins
from config.parts import Parts, build_parts
from config.progress import shown_build
from config.projections import Projections
from config.sections import Settings
from config.settings import DISTRIBUTION
from config.stores import Stores, open_stores
from config.transport import Transport, build_transport
from config.versions import versions
from infrastructure.clock import SystemClock
from infrastructure.signatures import Ed25519Signer
from interfaces.definitions.triggers import TenantTriggers
from interfaces.messaging.consumer import MessageConsumer
from interfaces.rest.app import Application
from interfaces.rest.approvals import ApprovalRoutes
from interfaces.rest.audit_events import AuditRoutes
from interfaces.rest.backfills import BackfillRoutes
from interfaces.rest.bulk import BulkRoutes
from interfaces.rest.definition_names import DefinitionNames
from interfaces.rest.definitions import DefinitionRoutes
from interfaces.rest.delegations import DelegationRoutes
from interfaces.rest.docs import docs_routes
from interfaces.rest.event_streams import EventStreams
from interfaces.rest.freshness import Freshness
from interfaces.rest.identity import (
    Authenticator,
    GatewayAuthenticator,
    JwtAuthenticator,
    Operators,
    Publishers,
)
from interfaces.rest.inbox import InboxRoutes
from interfaces.rest.job_metrics import JobMetrics
from interfaces.rest.jobs import JobRoutes
from interfaces.rest.metrics import Metrics
from interfaces.rest.parked import ParkedRoutes
from interfaces.rest.platform import PlatformRoutes
from interfaces.rest.progress import ProgressRoutes
from interfaces.rest.root import Check, RootRoutes
from interfaces.rest.service import Service
from interfaces.rest.stream import StreamRoutes
from interfaces.rest.tasks import TaskRoutes
from interfaces.rest.workflow_orders import WorkflowOrderRoutes
from interfaces.rest.workflows import WorkflowRoutes
from interfaces.scheduling.cron import UnixCron, schedule_of
from interfaces.scheduling.marks import Marks
from projections.projection import interest_of
from projections.tasks import TaskCandidates


class Container(msgspec.Struct, frozen=True):
    """The service, built and not yet running."""

    settings: Settings
    stores: Stores
    projections: Projections
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
    """Build the service; ``stack`` closes what was opened.

    Raises:
        CannotStart: a store is of no use, or stayed away; a definition that comes along is bad.
    """
    clock = SystemClock()
    shipped = ShippedDefinitions(shipped_definitions(settings.workflows))
    wire_types = platform_wire_types(settings)
    projections = Projections.named_by(settings)
    metrics = Metrics()
    containers = [each.container for each in projections.all()]
    stores = await open_stores(settings, containers, stack, observe_cosmos=metrics.cosmos_request)
    catalogue = Catalogue(shipped, stores.event_store)
    workflows = WorkflowHandlers(stores.event_store, clock, catalogue)
    pace = StartPace(settings.workflows.starts_per_second, burst=settings.workflows.starts_at_once)
    approvals = build_approvals(settings)
    jobs = Jobs(settings.batch_jobs.definitions)
    schedules = {job: schedule_of(each) for job, each in jobs.by_name.items()}
    backfills = BackfillHandlers(stores.event_store, clock, jobs)
    people = PeopleLookup(stores.event_store, approvals.directory)
    dispatch = Dispatcher(
        ApprovalHandlers(stores.event_store, clock, people, approvals.terms).handlers(),
        DelegationHandlers(stores.event_store, clock, people).handlers(),
        RequestHandlers(stores.event_store, clock).handlers(),
        workflows.handlers(),
        RunHandlers(stores.event_store, clock, workflows, pace).handlers(),
        DefinitionHandlers(stores.event_store, clock, shipped, wire_types=wire_types).handlers(),
        JobHandlers(stores.event_store, clock, jobs).handlers(),
        backfills.handlers(),
        TaskHandlers(stores.event_store, clock).handlers(),
    )
    aliases = settings.rabbitmq.type_aliases
    consumer = MessageConsumer(
        dispatch,
        triggers=TenantTriggers(
            ShippedTriggers(list(shipped.by_name.values())),
            stores.documents,
            projections.definitions.container,
        ),
        chains=Chains(stores.event_store, settings.service.name),
        at_once=settings.rabbitmq.at_once,
        opportunity_shard_types=settings.workflows.opportunity_shard_types,
        documented_type={alias: documented for documented, alias in aliases.items()},
        count=metrics.message_consumed,
    )
    name = settings.service.name
    source = Source(name, f"{name}-{os.getpid()}-{time.time_ns() // 1_000_000}")
    message_types = {each for definition in shipped.by_name.values() for each in definition.message_types}
    transport = build_transport(settings, source, consumer, metrics, message_types, clock)

    reads = SharedReads(stores.event_store)
    watches = Watches(stores.event_store, reads, batch_size=settings.followers.batch_size)
    streams = EventStreams(
        most=settings.server.max_streams,
        most_a_tenant=settings.server.max_streams_per_tenant,
        longest_seconds=settings.server.max_stream_seconds,
    )
    exports = EventStreams(
        most=settings.audit.max_exports,
        most_a_tenant=settings.audit.max_exports_per_tenant,
        longest_seconds=settings.audit.max_export_seconds,
    )
    http_steps = HttpStepBuilder(
        settings, stores.event_store, dispatch=dispatch, clock=clock, observe=metrics.step_call
    )
    signer = signer_of(settings)
    anchoring = build_anchoring(settings, stores, signer, transport.publisher, clock) if signer else None
    parts = build_parts(
        settings,
        stores,
        reads,
        projections.all(),
        dispatch=dispatch,
        publisher=transport.publisher,
        is_taken_in=transport.is_taken_in,
        http_steps=http_steps,
        jobs=jobs,
        schedules=schedules,
        clock=clock,
        holder=f"{socket.gethostname()}-{source.instance}-{uuid4().hex[:8]}",
        count_heartbeat=metrics.heartbeat,
        count_set_back=metrics.clock_set_back,
        anchoring=anchoring,
        completing=build_completing(settings, stores, clock),
    )
    metrics.watch_followers(parts.statuses)
    metrics.watch_leases(parts.held)
    metrics.watch_partitions(stores.event_store.fullest)
    metrics.watch_log(lost_lines)
    if (health := parts.job_health) is not None:
        metrics.watch_jobs(JobMetrics(jobs, schedules, lambda: health.standings, clock))
    if anchoring is not None:
        metrics.watch_anchoring(anchoring)
    if "publisher" in settings.service.roles:
        metrics.watch_circuits(http_steps.circuits.states)

    async def event_store_check() -> Check:
        await stores.event_store.ping()
        return Check("up")

    async def documents_check() -> Check:
        await stores.documents.ping()
        builds = await stores.build_notes.builds() if stores.build_notes else {}
        rebuilt = [f"{name} is rebuilt: {shown_build(build)}" for name, build in builds.items()]
        return Check("up", "; ".join(rebuilt) or None)

    freshness = Freshness(
        stores.event_store,
        parts.follower,
        {
            **dict.fromkeys((each.name for each in containers), stores.document_positions),
            audit.NAME: audit.IndexPosition(stores.audit.index),
        },
        reads=reads,
        wants={each.container.name: interest_of(each) for each in projections.all()},
        projections=[each.name for each in containers],
        most_waiting=settings.server.max_requests,
    )
    authenticate = _authenticator(settings)
    service = Service(
        dispatch=dispatch,
        store=stores.event_store,
        documents=stores.documents,
        authenticate=authenticate,
        freshness=freshness,
        max_requests=settings.server.max_requests,
    )
    token = settings.metrics.bearer_token.get_secret_value()
    root = RootRoutes(
        service_name=name,
        version=version(DISTRIBUTION),
        clock=clock,
        checks={
            "eventStore": event_store_check,
            "documents": documents_check,
            "broker": transport.check,
            "scheduler": parts.scheduler_check,
        },
        followers=parts.statuses,
        metrics=metrics,
        metrics_path=settings.metrics.path,
        metrics_token=token if settings.metrics.require_auth else None,
    )
    task_news = TaskNews(stores.event_store, reads)
    candidates = TaskCandidates(stores.documents, projections.tasks)
    claims = TaskClaims(
        dispatch,
        candidates,
        task_news,
        clock,
        secrets.token_urlsafe,
        switches=lambda: stores.event_store.switches,
    )
    operators = Operators(settings.approvals.operator_roles)
    publishers = Publishers(settings.workflows.publisher_roles, settings.approvals.operator_roles)
    names = DefinitionNames(service, projections.definitions.container, catalogue.shipped.by_name)
    routes, shown = [*root.routes(), *docs_routes()], masked_values(settings)
    if "api" in settings.service.roles:
        routes += [
            *WorkflowRoutes(
                service,
                projections.workflows,
                projections.steps,
                projections.executions,
                operators,
                names,
            ).routes(),
            *BulkRoutes(service, projections.workflows, operators, workflows.would_do).routes(),
            *WorkflowOrderRoutes(service, projections.workflows, operators).routes(),
            *ProgressRoutes(service, projections.workflows, projections.steps, clock).routes(),
            *DefinitionRoutes(
                service, projections.definitions, catalogue, names, publishers, wire_types=wire_types
            ).routes(),
            *StreamRoutes(service, watches, streams).routes(),
            *InboxRoutes(service, projections.approvals, people, clock).routes(),
            *ApprovalRoutes(service, projections.approvals, operators).routes(),
            *DelegationRoutes(service, projections.delegations, operators, clock).routes(),
            *JobRoutes(
                service, projections.job_runs, jobs, schedules, Marks(stores.log_positions, schedules), clock
            ).routes(),
            *BackfillRoutes(service, projections.backfills, jobs, backfills).routes(),
            *TaskRoutes(service, projections.tasks, claims).routes(),
            *ParkedRoutes(service, transport.parked, operators).routes(),
            *PlatformRoutes(
                service,
                operators,
                settings=shown,
                sources=told_origins(shown, settings.origins),
                versions=versions(),
            ).routes(),
            *AuditRoutes(service, *build_trail(stores, signer, clock), exports).routes(),
        ]
    app = Application(routes, metrics)
    if console := build_console(settings, app, authenticate, operators, clock):
        app = Application([*routes, *console.routes()], metrics, console.tell)
    return Container(
        settings,
        stores,
        projections,
        shipped,
        approvals,
        dispatch,
        consumer,
        transport,
        jobs,
        schedules,
        parts,
        metrics,
        task_news,
        freshness,
        watches,
        streams,
        exports,
        signer,
        app,
    )


def _authenticator(settings: Settings) -> Authenticator:
    if settings.effective_auth_mode == "jwt":
        return JwtAuthenticator(settings.jwt.secret.get_secret_value(), settings.jwt.issuer)
    return GatewayAuthenticator()
