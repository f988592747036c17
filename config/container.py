"""The composition root: which part is built with which, by plain constructors."""

import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.metadata import version

import msgspec
from starlette.applications import Starlette

from application.approvals import ApprovalHandlers
from application.dispatcher import Dispatcher
from application.integration import Source
from application.jobs import JobHandlers
from application.outbox import Outbox
from application.policies import step_deadlines
from application.policies.step_deadlines import StepDeadlines
from application.shared_reads import SharedReads
from application.timers import DueTimers
from application.workflows import WorkflowHandlers
from config.sections import Settings
from config.stores import Stores, open_stores
from config.transport import Transport, build_transport
from domain.definition import OPPORTUNITY_ANALYSIS
from infrastructure.clock import SystemClock
from interfaces.messaging.consumer import MessageConsumer
from interfaces.rest.app import create_app
from interfaces.rest.approvals import ApprovalRoutes
from interfaces.rest.docs import docs_routes
from interfaces.rest.identity import Authenticator, GatewayAuthenticator, JwtAuthenticator
from interfaces.rest.jobs import JobRoutes
from interfaces.rest.metrics import Metrics
from interfaces.rest.root import Check, RootRoutes
from interfaces.rest.service import Service
from interfaces.rest.workflows import WorkflowRoutes
from interfaces.scheduling.cron import UnixCron
from interfaces.scheduling.firing import CronFirings
from interfaces.scheduling.scheduler import JobScheduler
from interfaces.scheduling.timers import TimerLoop
from projections.approvals import Approvals
from projections.executions import Executions
from projections.follower import Follower, FollowerStatus, Handler
from projections.job_runs import JobRuns
from projections.ports import Checkpoints
from projections.projection import Materializer, Projection
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
    followers: Sequence[Follower]
    consumer: MessageConsumer
    transport: Transport
    schedules: dict[str, UnixCron]
    scheduler: JobScheduler
    timers: TimerLoop
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
        timedelta(seconds=settings.workflows.step_timeout_seconds),
        {step: timedelta(seconds=seconds) for step, seconds in settings.workflows.step_timeouts.items()},
    )
    dispatch = Dispatcher(
        ApprovalHandlers(stores.event_store, clock).handlers(),
        WorkflowHandlers(stores.event_store, clock, [definition]).handlers(),
        JobHandlers(stores.event_store, clock).handlers(),
    )
    aliases = settings.rabbitmq.type_aliases
    consumer = MessageConsumer(
        dispatch,
        opportunity_shard_types=settings.workflows.opportunity_shard_types,
        documented_type={alias: documented for documented, alias in aliases.items()},
        count=metrics.message_consumed,
    )
    name = settings.service.name
    source = Source(name, f"{name}-{os.getpid()}-{time.time_ns() // 1_000_000}")
    transport = build_transport(settings, source, consumer, metrics)

    log = SharedReads(stores.event_store)

    def follower(handler: Handler, positions: Checkpoints) -> Follower:
        return Follower(
            handler,
            log,
            positions,
            now=clock.now,
            poll_seconds=settings.followers.poll_seconds,
            batch_size=settings.followers.batch_size,
        )

    followers = []
    for projection in projections.all():
        materializing = follower(Materializer(projection, stores.documents), stores.document_positions)
        if await materializing.stands_on_another_log():
            await stores.documents.clear(projection.container)
            await materializing.start_over()
        followers.append(materializing)
    for handler in (Outbox(transport.publisher), StepDeadlines(stores.timers)):
        reacting = follower(handler, stores.log_positions)
        if await reacting.stands_on_another_log():
            await reacting.start_over()
        followers.append(reacting)
    due_timers = DueTimers(
        stores.timers, clock, dispatch, {step_deadlines.TIMER_KIND: step_deadlines.timed_out}
    )
    zone = settings.batch_jobs.zone
    schedules = {job: UnixCron(cron, zone) for job, cron in settings.batch_jobs.crons.items()}
    scheduler = JobScheduler(schedules, CronFirings(dispatch, schedules))
    timers = TimerLoop(due_timers.fire, poll_seconds=settings.followers.poll_seconds)

    def statuses() -> list[FollowerStatus]:
        return [*(each.status for each in followers), timers.status]

    metrics.watch_followers(statuses)

    async def scheduler_check() -> Check:
        if not settings.batch_jobs.enabled:
            return Check("off", "batch_jobs.enabled is false")
        if not scheduler.running:
            return Check("down", "not running")
        late = scheduler.last_error
        return Check("up", f"{late.job} of {late.nominal_time}: {late.error}" if late else None)

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
            "scheduler": scheduler_check,
        },
        followers=statuses,
        metrics=metrics,
        metrics_path=settings.metrics.path,
        metrics_token=token if settings.metrics.require_auth else None,
    )
    app = create_app(
        [
            *root.routes(),
            *docs_routes(),
            *WorkflowRoutes(
                service, projections.workflows, projections.steps, projections.executions
            ).routes(),
            *ApprovalRoutes(service, projections.approvals).routes(),
            *JobRoutes(
                service, projections.job_runs, schedules, clock, enabled=settings.batch_jobs.enabled
            ).routes(),
        ],
        metrics,
    )
    return Container(
        settings,
        stores,
        projections,
        dispatch,
        followers,
        consumer,
        transport,
        schedules,
        scheduler,
        timers,
        metrics,
        app,
    )


def _authenticator(settings: Settings) -> Authenticator:
    if settings.effective_auth_mode == "jwt":
        return JwtAuthenticator(settings.jwt.secret.get_secret_value(), settings.jwt.issuer)
    return GatewayAuthenticator()
