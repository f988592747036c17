"""What every part of the service needs. It is made first, and passed on as a whole."""

import os
import time
from contextlib import AsyncExitStack

import msgspec

from application.catalogue import ShippedDefinitions
from application.integration import Source
from application.jobs import Jobs
from application.ports import Clock
from application.shared_reads import SharedReads
from config.approvals import ApprovalParts, build_approvals
from config.definitions import shipped_definitions
from config.projections import Projections
from config.sections import Settings
from config.stores import Stores, open_stores
from infrastructure.clock import SystemClock
from interfaces.rest.metrics import Metrics
from interfaces.scheduling.cron import UnixCron, schedule_of


class Foundation(msgspec.Struct, frozen=True):
    """The settings, the stores that they name, and what is derived from them once."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    stores: Stores
    reads: SharedReads
    projections: Projections
    shipped: ShippedDefinitions
    approvals: ApprovalParts
    jobs: Jobs
    schedules: dict[str, UnixCron]
    source: Source


async def lay_foundation(settings: Settings, stack: AsyncExitStack) -> Foundation:
    """Open the stores. ``stack`` closes them again.

    Raises:
        CannotStart: a store cannot be used, or stayed away; or a shipped definition, or the approvals file,
            is invalid.
    """
    shipped = ShippedDefinitions(shipped_definitions(settings.workflows))
    projections, metrics = Projections.named_by(settings), Metrics()
    containers = [each.container for each in projections.all()]
    stores = await open_stores(settings, containers, stack, observe_cosmos=metrics.cosmos_request)
    jobs, name = Jobs(settings.batch_jobs.definitions), settings.service.name
    return Foundation(
        settings=settings,
        clock=SystemClock(),
        metrics=metrics,
        stores=stores,
        reads=SharedReads(stores.event_store),
        projections=projections,
        shipped=shipped,
        approvals=build_approvals(settings),
        jobs=jobs,
        schedules={job: schedule_of(each) for job, each in jobs.by_name.items()},
        source=Source(name, f"{name}-{os.getpid()}-{time.time_ns() // 1_000_000}"),
    )
