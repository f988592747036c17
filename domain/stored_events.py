"""All events that may be in the log, by topic. Readers of the log import this module, because an event is
registered when its module is imported, and not every process needs all of them otherwise."""

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
