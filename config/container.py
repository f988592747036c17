"""The composition root: which part is built with which, by plain constructors."""

import os
import socket
import time
from contextlib import AsyncExitStack
from importlib.metadata import version
from uuid import uuid4

import msgspec
from starlette.applications import Starlette

from application.approvals import ApprovalHandlers
from application.definitions import ShippedDefinitions
from application.dispatcher import Dispatcher
from application.integration import Source
from application.jobs import JobHandlers
from application.pacing import StartPace
from application.runs import RunHandlers
from application.triggers import ShippedTriggers
from application.workflows import WorkflowHandlers
from config.parts import Parts, build_parts
from config.sections import Settings
from config.stores import Stores, open_stores
from config.transport import Transport, build_transport
from domain.definition import OPPORTUNITY_ANALYSIS
from infrastructure.clock import SystemClock
from interfaces.messaging.consumer import MessageConsumer
from interfaces.rest.app import Application
from interfaces.rest.approvals import ApprovalRoutes
from interfaces.rest.docs import docs_routes
from interfaces.rest.identity import Authenticator, GatewayAuthenticator, JwtAuthenticator
from interfaces.rest.jobs import JobRoutes
from interfaces.rest.metrics import Metrics
from interfaces.rest.root import Check, RootRoutes
from interfaces.rest.service import Service
from interfaces.rest.workflows import WorkflowRoutes
from interfaces.scheduling.cron import UnixCron
from projections.approvals import Approvals
from projections.executions import Executions
from projections.job_runs import JobRuns
from projections.projection import Projection
from projections.steps import Steps
from projections.workflows import Workflows

DISTRIBUTION = "workflow-orchestrator"


class Projections(msgspec.Struct, frozen=True):
    """Every projection; a new one is a line here."""

    workflows: Workflows
    steps: Steps
    executions: Executions
    approvals: Approvals
    job_runs: JobRuns

    @classmethod
    def named_by(cls, settings: Settings) -> "Projections":
        """The projections under the containers' configured names."""
        names = settings.cosmos_db.containers
        return cls(
            Workflows(names.workflows),
            Steps(names.steps),
            Executions(names.executions),
            Approvals(names.approvals),
            JobRuns(names.job_runs),
        )

    def all(self) -> tuple[Projection, ...]:
        """All of them."""
        return (self.workflows, self.steps, self.executions, self.approvals, self.job_runs)


class Container(msgspec.Struct, frozen=True):
    """The service, built and not yet running."""

    settings: Settings
    stores: Stores
    projections: Projections
    dispatch: Dispatcher
    consumer: MessageConsumer
    transport: Transport
    schedules: dict[str, UnixCron]
    parts: Parts
    metrics: Metrics
    app: Starlette


async def build(settings: Settings, stack: AsyncExitStack) -> Container:
    """Build the service; ``stack`` closes what was opened.

    Raises:
        CannotStart: a store is of no use, or stayed away.
    """
    clock = SystemClock()
    projections = Projections.named_by(settings)
    metrics = Metrics()
    containers = [each.container for each in projections.all()]
    stores = await open_stores(settings, containers, stack, observe_cosmos=metrics.cosmos_request)
    definition = OPPORTUNITY_ANALYSIS.with_timeouts(
        settings.workflows.step_timeout_seconds,
        {str(step): seconds for step, seconds in settings.workflows.step_timeouts.items()},
    )
    workflows = WorkflowHandlers(stores.event_store, clock, ShippedDefinitions([definition]))
    pace = StartPace(settings.workflows.starts_per_second, burst=settings.workflows.starts_at_once)
    dispatch = Dispatcher(
        ApprovalHandlers(stores.event_store, clock).handlers(),
        workflows.handlers(),
        RunHandlers(stores.event_store, clock, workflows, pace).handlers(),
        JobHandlers(stores.event_store, clock).handlers(),
    )
    aliases = settings.rabbitmq.type_aliases
    consumer = MessageConsumer(
        dispatch,
        triggers=ShippedTriggers([definition]),
        at_once=settings.rabbitmq.at_once,
        opportunity_shard_types=settings.workflows.opportunity_shard_types,
        documented_type={alias: documented for documented, alias in aliases.items()},
        count=metrics.message_consumed,
    )
    name = settings.service.name
    source = Source(name, f"{name}-{os.getpid()}-{time.time_ns() // 1_000_000}")
    transport = build_transport(settings, source, consumer, metrics)

    zone = settings.batch_jobs.zone
    schedules = {job: UnixCron(cron, zone) for job, cron in settings.batch_jobs.crons.items()}
    parts = build_parts(
        settings,
        stores,
        projections.all(),
        dispatch=dispatch,
        publisher=transport.publisher,
        schedules=schedules,
        clock=clock,
        holder=f"{socket.gethostname()}-{source.instance}-{uuid4().hex[:8]}",
    )
    metrics.watch_followers(parts.statuses)
    metrics.watch_leases(parts.held)

    async def event_store_check() -> Check:
        await stores.event_store.ping()
        return Check("up")

    async def documents_check() -> Check:
        await stores.documents.ping()
        return Check("up")

    service = Service(
        dispatch=dispatch,
        store=stores.event_store,
        documents=stores.documents,
        authenticate=_authenticator(settings),
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
    routes = [*root.routes(), *docs_routes()]
    if "api" in settings.service.roles:
        routes += [
            *WorkflowRoutes(
                service, projections.workflows, projections.steps, projections.executions
            ).routes(),
            *ApprovalRoutes(service, projections.approvals).routes(),
            *JobRoutes(
                service, projections.job_runs, schedules, clock, enabled=settings.batch_jobs.enabled
            ).routes(),
        ]
    app = Application(routes, metrics)
    return Container(
        settings,
        stores,
        projections,
        dispatch,
        consumer,
        transport,
        schedules,
        parts,
        metrics,
        app,
    )


def _authenticator(settings: Settings) -> Authenticator:
    if settings.effective_auth_mode == "jwt":
        return JwtAuthenticator(settings.jwt.secret.get_secret_value(), settings.jwt.issuer)
    return GatewayAuthenticator()
