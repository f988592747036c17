"""Chains: a message of one workflow starts another, which sends messages in its turn.

Whether this ends depends on filters and conditions of several definitions, which nobody can foresee when they
are published. So each workflow knows what led to it, and the length of a chain is limited.
"""

from collections.abc import Mapping
from typing import Any

from application.event_store import EventStore
from application.starters import starter_of
from domain import approval, workflow
from domain.approval import approval_stream
from domain.errors import ThingArchived, TooLongAChain
from domain.values import is_uuid
from domain.workflow import Workflow, workflow_stream

MOST_IN_A_CHAIN = 16
"""How many workflows may have led to one. If each starts two, the first leads to 65,000, which takes three
quarters of an hour at a tenant's pace of starts. An intended chain is seldom longer than a few."""


class Chains:
    """Finds out from a message which workflows led to what it starts. Only messages of the service's own
    count, because a service that answers decides for itself."""

    def __init__(self, store: EventStore, service: str) -> None:
        self._store = store
        self._service = service

    async def up_to(self, tenant: str, service: str, data: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the definitions that led to a message of a service, the earliest first.

        Raises:
            StoreUnavailable: the store is away.
        """
        workflow_id = await self._teller(tenant, service, data)
        state = await present_workflow(self._store, tenant, workflow_id) if workflow_id else None
        return () if state is None else (*state.chain, state.definition_name)

    async def starter_of(self, tenant: str, service: str, data: Mapping[str, Any]) -> str | None:
        """Return who started the workflow that a message is about, because what the message starts is theirs
        too.

        Raises:
            StoreUnavailable: the store is away.
        """
        workflow_id = await self._teller(tenant, service, data)
        return await starter_of(self._store, tenant, workflow_id) if workflow_id else None

    async def _teller(self, tenant: str, service: str, data: Mapping[str, Any]) -> str | None:
        if service != self._service:
            return None
        workflow_id = data.get("workflowId") or await self._asker(tenant, data.get("approvalId"))
        return workflow_id.lower() if isinstance(workflow_id, str) and is_uuid(workflow_id) else None

    async def _asker(self, tenant: str, approval_id: Any) -> str | None:
        """Return the workflow that has asked for an approval."""
        if not isinstance(approval_id, str) or not is_uuid(approval_id):
            return None
        stream = approval_stream(tenant, approval_id.lower())
        try:
            asked = (await self._store.present(stream, approval.evolve)).state
        except ThingArchived:
            return None
        return None if asked is None or asked.step is None else asked.step.workflow_id


async def chain_before(store: EventStore, tenant: str, workflow_id: str) -> tuple[str, ...]:
    """Return the chain of a workflow, which is also that of its children.

    Raises:
        StoreUnavailable: the store is away.
    """
    state = await present_workflow(store, tenant, workflow_id)
    return () if state is None else state.chain


def refuse_too_long(chain: tuple[str, ...], definition: str) -> None:
    """Refuse a workflow that more than :data:`MOST_IN_A_CHAIN` would have led to.

    Raises:
        TooLongAChain: more would have.
    """
    if len(chain) > MOST_IN_A_CHAIN:
        raise TooLongAChain(
            f"{definition} is not started: {len(chain)} workflows have each started the next by their"
            f" messages, and at most {MOST_IN_A_CHAIN} may: {' > '.join((*chain, definition))}"
        )


async def present_workflow(store: EventStore, tenant: str, workflow_id: str) -> Workflow | None:
    """Return a workflow as it is, or None if there is none, or if it is archived.

    Raises:
        StoreUnavailable: the store is away.
    """
    try:
        state: Workflow | None = (
            await store.present(workflow_stream(tenant, workflow_id), workflow.evolve)
        ).state
    except ThingArchived:
        return None
    return state
