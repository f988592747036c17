"""Finds workflow definitions: those that come with the service, and tenants' own."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from application.event_store import EventStore
from application.kinds import KINDS
from domain import published_definition
from domain.definition import WorkflowDefinition
from domain.definition_rules import NAME, definition_faults
from domain.errors import DefinitionIsRetired, DefinitionNotFound
from domain.faults import Fault
from domain.platform_messages import platform_faults
from domain.published_definition import PublishedDefinition, definition_stream


def faults_of(
    definition: WorkflowDefinition,
    *,
    shipped: bool = False,
    wire_types: Collection[str] = (),
    steps_are_known: bool = True,
) -> Iterator[Fault]:
    """Yield everything that keeps a definition from being run, given the existing kinds of steps. A
    ``shipped`` definition may send the platform's own messages, of which ``wire_types`` are further types."""
    kinds = {name: kind.faults for name, kind in KINDS.items()}
    yield from definition_faults(definition, kinds, steps_are_known=steps_are_known)
    if not shipped:
        yield from platform_faults(definition, wire_types)


class ShippedDefinitions:
    """The definitions that come with the service: the same for every tenant, each in its one version."""

    def __init__(self, definitions: Sequence[WorkflowDefinition]) -> None:
        self.by_name: Mapping[str, WorkflowDefinition] = {
            definition.name: definition for definition in sorted(definitions, key=lambda each: each.name)
        }

    async def find(self, tenant: str, name: str, version: int | None) -> WorkflowDefinition:
        """Return a definition, in its one version."""
        definition = self.by_name.get(name)
        if definition is None or version not in (None, definition.version):
            raise not_found(name, version)
        return definition

    async def accepted(self, tenant: str, name: str, version: int | None) -> WorkflowDefinition:
        """Return a definition in its one version, whichever that was when the start was accepted."""
        return await self.find(tenant, name, None)


class Catalogue:
    """Everything that a tenant can start: what is shipped, and what it has published.

    Shipped definitions come first: a tenant cannot publish under such a name, and what it published before
    the name was shipped is not used.
    """

    def __init__(self, shipped: ShippedDefinitions, store: EventStore) -> None:
        self.shipped = shipped
        self._store = store

    async def find(self, tenant: str, name: str, version: int | None) -> WorkflowDefinition:
        """Return a definition to start, in its newest version that is not retired if none is named.

        Raises:
            DefinitionNotFound: the tenant has none of that name, or not that version of it.
            DefinitionIsRetired: it has one, which starts no more workflows.
        """
        if name in self.shipped.by_name:
            return await self.shipped.find(tenant, name, version)
        published = await self.published(tenant, name)
        if published is None:
            raise not_found(name, version)
        if version is None:
            if published.newest is None:
                raise DefinitionIsRetired(f"the workflow definition {name} is retired")
            return published.newest
        definition = published.version(version)
        if definition is None:
            raise not_found(name, version)
        if version in published.retired:
            raise DefinitionIsRetired(f"version {version} of the workflow definition {name} is retired")
        return definition

    async def accepted(self, tenant: str, name: str, version: int | None) -> WorkflowDefinition:
        """Return a definition for a start that was accepted earlier, in the version of that time even if it
        is retired.

        Raises:
            DefinitionNotFound, DefinitionIsRetired: as above, but for that version.
        """
        if name in self.shipped.by_name:
            return await self.shipped.accepted(tenant, name, version)
        published = None if version is None else await self.published(tenant, name)
        kept = None if published is None or version is None else published.version(version)
        return kept or await self.find(tenant, name, version)

    async def published(self, tenant: str, name: str) -> PublishedDefinition | None:
        """Return a definition of the tenant's own as the log has it now, with every version."""
        if not NAME.fullmatch(name):
            return None
        past = await self._store.present(definition_stream(tenant, name), published_definition.evolve)
        published: PublishedDefinition | None = past.state
        return published


def not_found(name: str, version: int | None = None) -> DefinitionNotFound:
    """Return the error for a definition that does not exist."""
    wanted = name if version is None else f"{name} version {version}"
    return DefinitionNotFound(f"there is no workflow definition {wanted}")
