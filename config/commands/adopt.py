"""Takes over approvals that the platform's former service has left pending, whether or not this service runs.

Each approval is requested here, in one append and under its own id, as if it came by
``hitl.approval.requested``. Its stream recognizes a repeat, so a command that was killed can be run again,
and two of them do no harm. The projection replaces the former document by its own.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import click
from structlog.contextvars import bound_contextvars

from application.approval_commands import RequestApproval
from application.approvals import ApprovalHandlers
from application.event_store import EventStore
from application.people import PeopleLookup
from config.approvals import build_approvals
from config.cosmos import COORDINATION, open_database_as_it_is
from config.privacy import open_personal
from config.projections import Projections
from config.sections import Settings
from config.start import CannotStart, first_line
from config.stores import open_log_beside, require_log
from domain.approval import approval_stream
from domain.errors import Refusal, StoreUnavailable
from domain.values import is_id
from infrastructure.clock import SystemClock
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.documents import CosmosDocuments
from infrastructure.cosmos.wakeups import leave_word
from interfaces.former_approvals import PENDING, former_approval, not_kept, status_of
from interfaces.ids import new_id
from interfaces.messaging.envelope import Unreadable

Left = Mapping[str, Any]
"""A document that the former service has left."""


class NotAllTakenOver(CannotStart):
    """Some approvals could not be taken over. Each was named."""


async def adopt(settings: Settings, *, dry_run: bool) -> None:
    """Take over every pending approval that no log of ours has made, of all tenants, and print what became of
    each; with ``dry_run`` only print it.

    Raises:
        NotAllTakenOver: a document is not as the contract says.
        CannotStart: a store cannot be used, or went away.
    """
    if not settings.cosmos_db.endpoint:
        raise CannotStart("cosmos_db.endpoint is not set: the previous service stored its approvals there")
    async with AsyncExitStack() as stack:
        try:
            await require_log(settings)
            personal = await open_personal(settings, stack, as_they_are=True)
            store = await open_log_beside(settings, stack, personal)
            taking_over = TakingOver(settings, store, dry_run=dry_run)
            database = await open_database_as_it_is(settings, stack)
            async for document in _left_in(database, settings):
                await taking_over.take(document)
            if settings.storage.is_in_cosmos and store.appended:
                await leave_word(database, COORDINATION, new_id(), store.appended)
        except StoreUnavailable as error:
            raise CannotStart(f"stopped before the end, run it again: {first_line(error)}") from error
    for line in taking_over.told():
        click.echo(line)
    if taking_over.refused:
        raise NotAllTakenOver(
            f"approvals that cannot be taken over: {taking_over.refused}. Correct their documents and run"
            " it again"
        )


async def _left_in(database: CosmosDatabase, settings: Settings) -> AsyncIterator[Left]:
    container, documents = Projections.named_by(settings).approvals.container, CosmosDocuments(database)
    if await documents.missing([container]):
        name = settings.cosmos_db.database_id
        raise CannotStart(f"there is no container {container.name} in the database {name}")
    async for page in documents.of_another(container):
        for document in page:
            yield document


class TakingOver:
    """Handles one document after the other, and prints the outcome of each."""

    def __init__(self, settings: Settings, store: EventStore, *, dry_run: bool) -> None:
        approvals = build_approvals(settings)
        people = PeopleLookup(store, approvals.directory)
        self._handlers = ApprovalHandlers(store, SystemClock(), people, approvals.terms)
        self._store = store
        self._dry_run = dry_run
        self._taken = "would be taken over" if dry_run else "taken over"
        self._became: Counter[str] = Counter()
        self._not_kept: set[str] = set()
        self.refused = 0

    async def take(self, document: Left) -> None:
        """Handle one document. Only a pending one is examined.

        Raises:
            StoreUnavailable: it may or may not have been taken over.
        """
        status = status_of(document)
        if status not in (None, PENDING):
            self._became[f"left as they are, {status}"] += 1
            return
        place = {"tenant": _told(document, "tenantId"), "approval": _told(document, "id")}
        name = ", ".join(f"{what} {id}" for what, id in place.items())
        try:
            with bound_contextvars(**place):
                is_new = await self._ask(former_approval(document).command())
        except (Unreadable, Refusal) as why:
            self.refused += 1
            click.echo(f"cannot be taken over: {name}: {why}")
            return
        self._became[self._taken if is_new else "taken over before"] += 1
        if is_new:
            self._not_kept |= not_kept(document)
            click.echo(f"{self._taken}: {name}")

    async def _ask(self, command: RequestApproval) -> bool:
        """Return whether the approval is new here."""
        if not self._dry_run:
            return bool((await self._handlers.request_approval(command)).new)
        stream = approval_stream(command.meta.tenant, command.approval_id)
        return not (await self._store.read_stream(stream, after=0, limit=1)).events

    def told(self) -> Iterator[str]:
        """Yield the summary."""
        became = [f"{what}: {count}" for what, count in sorted(self._became.items())]
        yield "; ".join(became) or "there is nothing to take over"
        if self._not_kept:
            yield f"members that the contract does not name are not kept: {', '.join(sorted(self._not_kept))}"


def _told(document: Left, name: str) -> str:
    id = document.get(name)
    return id if isinstance(id, str) and is_id(id) else "without an id"
