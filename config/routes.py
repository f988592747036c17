"""The routes below ``/api/v1``."""

import secrets

import msgspec
from starlette.routing import Route

from application.parked import ParkedMessages
from application.task_claims import TaskClaims
from application.task_news import TaskNews
from application.watching import Watches
from config.audit import build_trail
from config.definitions import platform_wire_types, received_types
from config.foundation import Foundation
from config.handlers import Handlers
from config.masking import masked_values
from config.origins import told_origins
from config.versions import versions
from infrastructure.signatures import Ed25519Signer
from interfaces.rest.approvals import ApprovalRoutes
from interfaces.rest.audit_events import AuditRoutes
from interfaces.rest.backfills import BackfillRoutes
from interfaces.rest.bulk import BulkRoutes
from interfaces.rest.definition_names import DefinitionNames
from interfaces.rest.definitions import DefinitionRoutes
from interfaces.rest.delegations import DelegationRoutes
from interfaces.rest.event_streams import EventStreams
from interfaces.rest.identity import Operators, Publishers
from interfaces.rest.inbox import InboxRoutes
from interfaces.rest.jobs import JobRoutes
from interfaces.rest.parked import ParkedRoutes
from interfaces.rest.platform import PlatformRoutes
from interfaces.rest.progress import ProgressRoutes
from interfaces.rest.service import Service
from interfaces.rest.stream import StreamRoutes
from interfaces.rest.tasks import TaskRoutes
from interfaces.rest.workflow_orders import WorkflowOrderRoutes
from interfaces.rest.workflows import WorkflowRoutes
from interfaces.scheduling.marks import Marks
from projections.tasks import TaskCandidates


class Answering(msgspec.Struct, frozen=True, kw_only=True):
    """What the routes need besides the foundation and the handlers. Without ``signer`` nothing is signed."""

    service: Service
    operators: Operators
    task_news: TaskNews
    watches: Watches
    streams: EventStreams
    exports: EventStreams
    parked: ParkedMessages
    signer: Ed25519Signer | None


def api_routes(foundation: Foundation, handlers: Handlers, answering: Answering) -> list[Route]:
    """Return all routes."""
    stores, shown, clock = foundation.stores, foundation.projections, foundation.clock
    service, operators, jobs = answering.service, answering.operators, foundation.jobs
    schedules = foundation.schedules
    names = DefinitionNames(service, shown.definitions.container, foundation.shipped.by_name)
    marks = Marks(stores.log_positions, schedules)
    trail = build_trail(stores, answering.signer, clock)
    return [
        *WorkflowRoutes(service, shown.workflows, shown.steps, shown.executions, operators, names).routes(),
        *BulkRoutes(service, shown.workflows, operators, handlers.workflows.would_do).routes(),
        *WorkflowOrderRoutes(service, shown.workflows, operators).routes(),
        *ProgressRoutes(service, shown.workflows, shown.steps, clock).routes(),
        *_definitions(foundation, handlers, service, names).routes(),
        *StreamRoutes(service, answering.watches, answering.streams).routes(),
        *InboxRoutes(service, shown.approvals, handlers.people, clock).routes(),
        *ApprovalRoutes(service, shown.approvals, operators, clock).routes(),
        *DelegationRoutes(service, shown.delegations, operators, clock).routes(),
        *JobRoutes(service, shown.job_runs, jobs, schedules, marks, clock).routes(),
        *BackfillRoutes(service, shown.backfills, jobs, handlers.backfills).routes(),
        *TaskRoutes(service, shown.tasks, _claims(foundation, handlers, answering.task_news)).routes(),
        *ParkedRoutes(service, answering.parked, operators).routes(),
        *_platform(foundation, service, operators).routes(),
        *AuditRoutes(service, *trail, answering.exports).routes(),
    ]


def _definitions(
    foundation: Foundation, handlers: Handlers, service: Service, names: DefinitionNames
) -> DefinitionRoutes:
    settings = foundation.settings
    publishers = Publishers(settings.workflows.publisher_roles, settings.approvals.operator_roles)
    return DefinitionRoutes(
        service,
        foundation.projections.definitions,
        handlers.catalogue,
        names,
        publishers,
        wire_types=platform_wire_types(settings),
        received=received_types(settings, foundation.shipped.by_name.values()),
    )


def _claims(foundation: Foundation, handlers: Handlers, news: TaskNews) -> TaskClaims:
    stores = foundation.stores
    return TaskClaims(
        handlers.dispatch,
        TaskCandidates(stores.documents, foundation.projections.tasks),
        news,
        foundation.clock,
        secrets.token_urlsafe,
        switches=lambda: stores.event_store.switches,
    )


def _platform(foundation: Foundation, service: Service, operators: Operators) -> PlatformRoutes:
    shown = masked_values(foundation.settings)
    return PlatformRoutes(
        service,
        operators,
        settings=shown,
        sources=told_origins(shown, foundation.settings.origins),
        versions=versions(),
    )
