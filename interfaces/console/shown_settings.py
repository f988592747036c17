"""The settings of the process as rows of a page, each with its name, its value and its source."""

from collections.abc import Iterator, Mapping
from typing import Any

from interfaces.console.api import Document
from interfaces.console.pages import pretty

_EMPTY = {"None": "—", "''": "—", "[]": "none", "{}": "none"}


def sections_of(shown: Mapping[str, Any]) -> Mapping[str, list[Document]]:
    """Return the rows of each section of the API's response."""
    return {
        name: [
            Document(name=row, value=_told(value), **_source(shown["sources"].get(f"{name}.{row}")))
            for row, value in _rows(values, "")
        ]
        for name, values in shown["settings"].items()
    }


def _told(value: Any) -> str:
    """Return a value as text: an empty one or a list of strings in words, any other as JSON."""
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) and value else _EMPTY.get(repr(value)) or pretty(value)


def _source(told: Mapping[str, Any] | None) -> Mapping[str, Any]:
    source = told or {}
    return {"source": source.get("from", "default"), "variables": source.get("variables", ())}


def _rows(node: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, Mapping) or not node:
        yield name, node
        return
    for key, inner in node.items():
        yield from _rows(inner, f"{name}.{key}" if name else str(key))
