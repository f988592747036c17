"""Tenants' workflow definitions: load, decide, append."""

from collections.abc import Collection, Mapping
from functools import partial

from application.catalogue import ShippedDefinitions, faults_of, not_found
from application.command import Command
from application.deciders import Committed
from application.definition_commands import PublishDefinition, RetireDefinition
from application.dispatcher import Handler
from application.event_store import EventStore
from application.inputs import in_turn
from application.ports import Clock
from domain import published_definition
from domain.definition_rules import NAME
from domain.errors import BadInput, DefinitionIsShipped
from domain.event import Event
from domain.published_definition import PublishedDefinition, definition_stream


class DefinitionHandlers:
    """The handlers of the commands about tenants' own definitions. ``wire_types`` are further types of the
    platform's own messages."""

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        shipped: ShippedDefinitions,
        *,
        wire_types: Collection[str] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._shipped = shipped
        self._faults_of = partial(faults_of, wire_types=wire_types)

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Return the handler of each command."""
        return {PublishDefinition: self.publish_definition, RetireDefinition: self.retire_definition}

    async def publish_definition(self, command: PublishDefinition) -> Committed:
        """Publish a definition's next version.

        Raises:
            BadInput: it cannot be run; with every fault.
            DefinitionIsShipped: the name belongs to a definition that comes with the service.
            DefinitionExists: it should be new, but there is one of that name.
            DefinitionNotFound: there is none yet, although the caller has seen a version of it.
        """
        definition = command.definition
        faults = await in_turn(command.meta.tenant, lambda: list(self._faults_of(definition)))
        if faults:
            raise BadInput("the workflow definition has faults", faults)
        self._refuse_shipped(definition.name)
        now = self._clock.now()

        def decide(state: PublishedDefinition | None) -> tuple[Event, ...]:
            if state is None and command.expected_version is not None:
                raise not_found(definition.name)
            return published_definition.publish(state, definition, as_new=command.as_new, now=now)

        return await self._store.execute(
            definition_stream(command.meta.tenant, definition.name),
            evolve=published_definition.evolve,
            decide=decide,
            meta=command.meta,
            now=now,
            expected_version=command.expected_version,
        )

    async def retire_definition(self, command: RetireDefinition) -> Committed:
        """Start no more workflows of a definition, or of a version of it.

        Raises:
            DefinitionIsShipped: it comes with the service.
            DefinitionNotFound: the tenant has none of that name, or not that version of it.
        """
        name = command.name
        self._refuse_shipped(name)
        if not NAME.fullmatch(name):
            raise not_found(name, command.version)
        now = self._clock.now()
        return await self._store.execute(
            definition_stream(command.meta.tenant, name),
            evolve=published_definition.evolve,
            decide=lambda state: published_definition.retire(
                state, name=name, version=command.version, now=now
            ),
            meta=command.meta,
            now=now,
            expected_version=command.expected_version,
        )

    def _refuse_shipped(self, name: str) -> None:
        if name in self._shipped.by_name:
            raise DefinitionIsShipped(f"{name} comes with the service, and is the same for every tenant")
