"""``workflow_definitions``: one document for each of a tenant's own definitions, in its newest version.

It shows the newest version that is not retired, or, once all are, the one that was so until then.
"""

from collections.abc import Mapping, Sequence

from domain.definition import WorkflowDefinition
from domain.event import Event, Recorded
from domain.published_definition import DefinitionPublished, DefinitionRetired, PublishedDefinition
from domain.values import timestamp
from projections.definition_documents import definition_document
from projections.ports import Container, Json
from projections.projection import existing

_OURS = ("id", "tenantId", "shipped", "status", "latestVersion", "retiredVersions", "createdAt", "updatedAt")
"""What a document has beside the definition."""


class Definitions:
    """The fold of ``workflow_definitions``."""

    category = "definition"
    kinds = DefinitionPublished | DefinitionRetired

    def __init__(self, name: str = "workflow_definitions") -> None:
        self.container = Container(name, sort_field="createdAt")

    def reads(self, event: Event) -> Sequence[str]:
        """The definition that an event is about."""
        return [event.name] if isinstance(event, DefinitionPublished | DefinitionRetired) else ()

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Follow the definition."""
        now = timestamp(recorded.timestamp)
        match event := recorded.event:
            case DefinitionPublished():
                before = documents.get(event.name, {})
                return {event.name: _published(before, event, recorded.meta.tenant, now)}
            case DefinitionRetired():
                return {event.name: _retired(existing(documents, event.name), event, now)}
        return {}


def shipped_document(definition: WorkflowDefinition) -> Json:
    """The document of a definition that comes with the service."""
    return definition_document(definition) | {"shipped": True, "status": "active"}


def version_document(latest: Json, published: PublishedDefinition, version: int) -> Json:
    """The document of one version, in the place of its definition's ``latest`` document."""
    definition = published.version(version)
    assert definition is not None, "the caller has looked for the version"
    ours = {name: latest[name] for name in _OURS}
    status = "retired" if version in published.retired else "active"
    return definition_document(definition) | ours | {"status": status}


def _published(before: Json, event: DefinitionPublished, tenant: str, now: str) -> Json:
    return definition_document(event.definition) | {
        "id": event.name,
        "tenantId": tenant,
        "shipped": False,
        "status": "active",
        "latestVersion": event.version,
        "retiredVersions": before.get("retiredVersions", []),
        "createdAt": before.get("createdAt", now),
        "updatedAt": now,
    }


def _retired(before: Json, event: DefinitionRetired, now: str) -> Json:
    ours = {name: before[name] for name in _OURS} | {
        "retiredVersions": sorted({*before["retiredVersions"], *event.versions}),
        "status": "retired" if event.newest is None else "active",
        "updatedAt": now,
    }
    if event.newest is None:
        return before | ours
    return definition_document(event.newest) | ours
