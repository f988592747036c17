"""Delegations: load, decide, append."""

from collections.abc import Callable, Mapping, Sequence

from application.command import Command
from application.deciders import Committed
from application.delegation_commands import Delegate, EndDelegation
from application.dispatcher import Handler
from application.event_store import EventStore
from application.people import PeopleLookup
from application.ports import Clock
from domain import delegation
from domain.delegation import DelegationMade, Delegations, delegations_stream
from domain.event import Event


class DelegationHandlers:
    """The handlers of the commands about delegations."""

    def __init__(self, store: EventStore, clock: Clock, people: PeopleLookup) -> None:
        self._store = store
        self._clock = clock
        self._people = people

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Return the handler of each command."""
        return {Delegate: self.delegate, EndDelegation: self.end_delegation}

    async def delegate(self, command: Delegate) -> Committed:
        """Let somebody decide for somebody else."""
        made = DelegationMade(
            delegation_id=command.delegation_id,
            by=command.by,
            to=command.to,
            starts_at=command.starts_at,
            ends_at=command.ends_at,
            made_at=self._clock.now(),
            reason=command.reason,
            made_by=command.meta.actor,
        )
        return await self._do(command, lambda state: delegation.delegate(state, made))

    async def end_delegation(self, command: EndDelegation) -> Committed:
        """End a delegation."""
        now = self._clock.now()
        return await self._do(
            command,
            lambda state: delegation.end(
                state,
                command.delegation_id,
                by=command.by,
                may_do_all=command.may_do_all,
                now=now,
                expected_version=command.expected_version,
            ),
        )

    async def _do(
        self, command: Command, decide: Callable[[Delegations | None], Sequence[Event]]
    ) -> Committed:
        try:
            return await self._store.execute(
                delegations_stream(command.meta.tenant),
                evolve=delegation.evolve,
                decide=decide,
                meta=command.meta,
                now=self._clock.now(),
            )
        finally:
            self._people.forget(command.meta.tenant)
