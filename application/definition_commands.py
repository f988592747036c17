"""The commands about tenants' own workflow definitions."""

from application.command import Command
from domain.definition import WorkflowDefinition


class PublishDefinition(Command, frozen=True, kw_only=True):
    """Publish the next version of a tenant's own definition. ``as_new``: there must be no version yet."""

    definition: WorkflowDefinition
    as_new: bool = False


class RetireDefinition(Command, frozen=True, kw_only=True):
    """Start no more workflows of a tenant's own definition: of one version, or of all if none is named."""

    name: str
    version: int | None = None
