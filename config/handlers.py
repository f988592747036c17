"""Builds the handlers of all commands."""

import msgspec

from application.approvals import ApprovalHandlers
from application.backfills import BackfillHandlers
from application.catalogue import Catalogue
from application.concurrency import ConcurrencyHandlers
from application.definitions import DefinitionHandlers
from application.delegations import DelegationHandlers
from application.dispatcher import Dispatcher
from application.jobs import JobHandlers
from application.pacing import StartPace
from application.people import PeopleLookup
from application.requests import RequestHandlers
from application.tasks import TaskHandlers
from application.workflows import WorkflowHandlers
from config.definitions import platform_wire_types
from config.foundation import Foundation


class Handlers(msgspec.Struct, frozen=True):
    """All handlers behind ``dispatch``, and those parts of them that also answer queries."""

    dispatch: Dispatcher
    catalogue: Catalogue
    workflows: WorkflowHandlers
    backfills: BackfillHandlers
    people: PeopleLookup


def build_handlers(foundation: Foundation) -> Handlers:
    """Build a handler for every command."""
    store, clock, settings = foundation.stores.event_store, foundation.clock, foundation.settings
    catalogue = Catalogue(foundation.shipped, store)
    workflows = WorkflowHandlers(store, clock, catalogue)
    pace = StartPace(settings.workflows.starts_per_second, burst=settings.workflows.starts_at_once)
    backfills = BackfillHandlers(store, clock, foundation.jobs)
    people = PeopleLookup(store, foundation.approvals.directory)
    wire_types = platform_wire_types(settings)
    dispatch = Dispatcher(
        ApprovalHandlers(store, clock, people, foundation.approvals.terms).handlers(),
        DelegationHandlers(store, clock, people).handlers(),
        RequestHandlers(store, clock).handlers(),
        workflows.handlers(),
        ConcurrencyHandlers(store, clock, workflows, pace).handlers(),
        DefinitionHandlers(store, clock, foundation.shipped, wire_types=wire_types).handlers(),
        JobHandlers(store, clock, foundation.jobs).handlers(),
        backfills.handlers(),
        TaskHandlers(store, clock).handlers(),
    )
    return Handlers(dispatch, catalogue, workflows, backfills, people)
