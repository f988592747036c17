"""Reads YAML files in tests with libyaml, which takes an eighth of the time."""

from pathlib import Path
from typing import Any

import yaml


def documents_in(path: Path) -> list[Any]:
    """Return all documents of a file."""
    return [*yaml.load_all(path.read_text("utf-8"), Loader=yaml.CSafeLoader)]


def document_in(path: Path) -> Any:
    """Return the only document of a file."""
    (document,) = documents_in(path)
    return document
