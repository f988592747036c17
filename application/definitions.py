"""Where workflow definitions are found."""

from collections.abc import Sequence

from domain.definition import WorkflowDefinition
from domain.errors import DefinitionNotFound


class ShippedDefinitions:
    """Those that come with the service: the same for every tenant."""

    def __init__(self, definitions: Sequence[WorkflowDefinition]) -> None:
        self._definitions = {definition.name: definition for definition in definitions}

    async def find(self, tenant: str, name: str, version: int | None) -> WorkflowDefinition:
        """A definition, in its one version."""
        definition = self._definitions.get(name)
        if definition is None or version not in (None, definition.version):
            wanted = name if version is None else f"{name} version {version}"
            raise DefinitionNotFound(f"there is no workflow definition {wanted}")
        return definition
