"""What can be asked of tenants' own workflow definitions."""

from application.command import Command
from domain.definition import WorkflowDefinition


class PublishDefinition(Command, frozen=True, kw_only=True):
    """Publish the next version of a tenant's own definition; ``as_new`` if there should be none yet."""

    definition: WorkflowDefinition
    as_new: bool = False


class RetireDefinition(Command, frozen=True, kw_only=True):
    """Let a tenant's own definition start no more workflows: all its versions if none is named."""

    name: str
    version: int | None = None
