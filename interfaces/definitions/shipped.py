"""Reads the definitions that are shipped with the service, from the folder ``definitions/``."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from domain.definition import WorkflowDefinition
from interfaces.definitions.reader import BadDocument, read_definition
from interfaces.definitions.yaml_reader import InvalidYaml, read_yaml

_FOLDER = "definitions"
_INSTALLED = "shipped_definitions"


class BadDefinitions(Exception):
    """Files are not valid definitions. The text has a line for each fault."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def shipped_folder() -> Traversable:
    """Return their folder: beside this module if the service is installed, else at the project's root."""
    installed = files(__package__) / _INSTALLED
    return installed if installed.is_dir() else Path(__file__).parents[2] / _FOLDER


def read_folder(folder: Traversable) -> list[WorkflowDefinition]:
    """Return all definitions of a folder. Each must be in a file with its name.

    Raises:
        BadDefinitions: files are not valid.
        OSError: the folder or a file cannot be read.
    """
    definitions, lines = [], []
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if not file.name.endswith(".yaml"):
            continue
        try:
            document = read_yaml(file.read_bytes())
            if not isinstance(document, dict):
                raise InvalidYaml("must be a mapping")
            definition = read_definition(document, shipped=True)
        except InvalidYaml as error:
            lines.append(f"{file.name}: {error}")
        except BadDocument as bad:
            lines.extend(f"{file.name}: {field}: {message}" for field, message in bad.faults)
        else:
            definitions.append(definition)
            if file.name != f"{definition.name}.yaml":
                lines.append(f"{file.name}: name: {definition.name} belongs in {definition.name}.yaml")
    if lines:
        raise BadDefinitions(lines)
    return definitions
