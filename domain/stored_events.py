"""Every event that may stand in the log, by its topic. Who reads the log takes them from here: an event is
registered once its module is imported, and not every process has a use for all of them by itself."""

from domain import delegation, privacy, published_definition, request
from domain.approval import events as approval
from domain.backfill import events as backfill
from domain.concurrency import events as concurrency
from domain.event import type_registry
from domain.job import events as job
from domain.task import events as task
from domain.workflow import events as workflow

MODULES = (
    approval,
    backfill,
    concurrency,
    delegation,
    job,
    privacy,
    published_definition,
    request,
    task,
    workflow,
)

__all__ = ["MODULES", "type_registry"]
