"""Builds the REST API and what it needs, the probes, and the console over them."""

from importlib.metadata import version

import msgspec
from starlette.applications import Starlette

from application.audit import indexing as audit
from application.dispatcher import Dispatcher
from application.policies.approval_steps import ApprovalSteps
from application.policies.backfills import Backfills
from application.policies.child_workflows import ChildWorkflows
from application.policies.tasks import TaskSteps
from application.task_news import TaskNews
from application.watching import Watches
from config.console import build_console
from config.foundation import Foundation
from config.handlers import Handlers
from config.parts import Parts, off_by
from config.progress import shown_build
from config.routes import Answering, api_routes
from config.sections import Settings
from config.settings import DISTRIBUTION
from config.transport import Transport
from infrastructure.signatures import Ed25519Signer
from interfaces.rest.app import Application
from interfaces.rest.docs import docs_routes
from interfaces.rest.event_streams import EventStreams
from interfaces.rest.freshness import Freshness
from interfaces.rest.identity import Authenticator, GatewayAuthenticator, JwtAuthenticator, Operators
from interfaces.rest.root import Check, RootRoutes
from interfaces.rest.service import Service
from projections.projection import interest_of


class Rest(msgspec.Struct, frozen=True):
    """The application, and those parts of it that run on their own."""

    app: Starlette
    freshness: Freshness
    task_news: TaskNews
    watches: Watches
    streams: EventStreams
    exports: EventStreams


def build_rest(
    foundation: Foundation,
    handlers: Handlers,
    transport: Transport,
    parts: Parts,
    signer: Ed25519Signer | None,
) -> Rest:
    """Build what answers requests, as far as the roles and the settings allow."""
    settings, store, reads = foundation.settings, foundation.stores.event_store, foundation.reads
    authenticate = _authenticator(settings)
    operators = Operators(settings.approvals.operator_roles)
    freshness = _freshness(foundation, parts)
    answering = Answering(
        service=_service(foundation, handlers.dispatch, authenticate, freshness),
        operators=operators,
        task_news=TaskNews(store, reads),
        watches=Watches(store, reads, batch_size=settings.followers.batch_size),
        streams=EventStreams(
            most=settings.server.max_streams,
            most_a_tenant=settings.server.max_streams_per_tenant,
            longest_seconds=settings.server.max_stream_seconds,
        ),
        exports=EventStreams(
            most=settings.audit.max_exports,
            most_a_tenant=settings.audit.max_exports_per_tenant,
            longest_seconds=settings.audit.max_export_seconds,
        ),
        parked=transport.parked,
        signer=signer,
    )
    routes = [*_root(foundation, transport, parts).routes(), *docs_routes()]
    if "api" in settings.service.roles:
        routes += api_routes(foundation, handlers, answering)
    api = Application(routes, foundation.metrics)
    console = build_console(settings, api, authenticate, operators, foundation.clock)
    return Rest(
        Application(
            [*routes, *(console.routes() if console else ())],
            foundation.metrics,
            console.error_page if console else None,
            this_machine_only=settings.is_a_trial,
        ),
        freshness,
        answering.task_news,
        answering.watches,
        answering.streams,
        answering.exports,
    )


def _authenticator(settings: Settings) -> Authenticator:
    if settings.effective_auth_mode == "jwt":
        return JwtAuthenticator(settings.jwt.secret.get_secret_value(), settings.jwt.issuer)
    return GatewayAuthenticator()


def _freshness(foundation: Foundation, parts: Parts) -> Freshness:
    stores, projections = foundation.stores, foundation.projections.all()
    names = [each.container.name for each in projections]
    policies = (ApprovalSteps, TaskSteps, ChildWorkflows, Backfills)
    return Freshness(
        stores.event_store,
        parts.follower,
        {
            **dict.fromkeys(names, stores.document_positions),
            **dict.fromkeys((each.name for each in policies), stores.log_positions),
            audit.NAME: audit.IndexPosition(stores.audit.index),
        },
        reads=foundation.reads,
        wants={
            **{each.container.name: interest_of(each) for each in projections},
            **{each.name: each.wants for each in policies},
        },
        projections=names,
        most_waiting=foundation.settings.server.max_requests,
    )


def _service(
    foundation: Foundation, dispatch: Dispatcher, authenticate: Authenticator, freshness: Freshness
) -> Service:
    return Service(
        dispatch=dispatch,
        store=foundation.stores.event_store,
        documents=foundation.stores.documents,
        authenticate=authenticate,
        freshness=freshness,
        max_requests=foundation.settings.server.max_requests,
    )


def _root(foundation: Foundation, transport: Transport, parts: Parts) -> RootRoutes:
    settings, stores = foundation.settings, foundation.stores

    async def event_store_check() -> Check:
        await stores.event_store.ping()
        if (found := stores.event_store.too_new) is not None:
            return Check("down", f"a newer release has been at work on the log: {found}")
        clock = stores.store_clock
        return Check("up", f"this instance's clock is {off_by(clock)}" if clock.differs() else None)

    async def documents_check() -> Check:
        await stores.documents.ping()
        builds = await stores.build_notes.builds() if stores.build_notes else {}
        rebuilt = [f"{name} is rebuilt: {shown_build(build)}" for name, build in builds.items()]
        return Check("up", "; ".join(rebuilt) or None)

    async def approvals_check() -> Check:
        if foundation.approvals.file is None:
            return Check("off", "approvals.file is not set")
        wrong = foundation.approvals.wrong()
        return Check("up", f"the file {wrong}; what it said before holds" if wrong else None)

    token = settings.metrics.bearer_token.get_secret_value()
    return RootRoutes(
        service_name=settings.service.name,
        version=version(DISTRIBUTION),
        clock=foundation.clock,
        checks={
            "eventStore": event_store_check,
            "documents": documents_check,
            "broker": transport.check,
            "scheduler": parts.scheduler_check,
            "approvals": approvals_check,
        },
        followers=parts.statuses,
        metrics=foundation.metrics,
        metrics_path=settings.metrics.path,
        metrics_token=token if settings.metrics.require_auth else None,
    )
