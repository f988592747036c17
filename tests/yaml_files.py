"""YAML files as the tests look into them: by libyaml, in an eighth of the time, in every test process."""

from pathlib import Path
from typing import Any

import yaml


def documents_in(path: Path) -> list[Any]:
    """Every document of a file."""
    return [*yaml.load_all(path.read_text("utf-8"), Loader=yaml.CSafeLoader)]


def document_in(path: Path) -> Any:
    """The one document of a file."""
    (document,) = documents_in(path)
    return document
