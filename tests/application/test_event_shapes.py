"""The evolution check: a stored event whose fields or types change needs a new version.

``event_shapes.json`` holds the shape of each version. ``python -m tests.application.test_event_shapes`` adds
what is new, and never changes an entry.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.event import Event, stored_as, type_registry
from tests.samples import SAMPLES

PATH = Path(__file__).with_name("event_shapes.json")


def shape_of(kind: type[Event]) -> Any:
    """Fields, types and defaults of an event and of all that it holds, without what is only words."""
    return msgspec.json.decode(msgspec.json.encode(_bare(msgspec.json.schema(kind))))


def _bare(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            name: _bare(each)
            for name, each in schema.items()
            if name != "description" or isinstance(each, dict)
        }
    return [_bare(each) for each in schema] if isinstance(schema, list) else schema


def complaint(kind: type[Event], shapes: dict[str, Any]) -> str | None:
    """What to do about an event; nothing if it is as it was."""
    name = f"{kind.TOPIC} {kind.SCHEMA_VERSION}"
    if name not in shapes:
        return f"{name} is new: run python -m tests.application.test_event_shapes, commit event_shapes.json"
    if shapes[name] != shape_of(kind):
        return (
            f"{name} has changed its fields: such events are stored. Give it version"
            f" {kind.SCHEMA_VERSION + 1} with an upcaster from {kind.SCHEMA_VERSION}; no entry is edited"
        )
    return None


@pytest.mark.parametrize("topic", sorted(SAMPLES))
def test_a_changed_event_has_a_new_version(topic: str) -> None:
    assert complaint(type_registry[topic], json.loads(PATH.read_text())) is None


def test_a_change_without_a_new_version_is_noticed() -> None:
    try:

        @stored_as("test.shape")
        class Before(Event, frozen=True):
            one: int

        shapes = {"test.shape 1": shape_of(Before)}
        del type_registry["test.shape"]

        @stored_as("test.shape")
        class After(Event, frozen=True):
            one: int
            two: str | None = None

        assert "Give it version 2" in str(complaint(After, shapes))
        assert "is new" in str(complaint(After, {}))
    finally:
        type_registry.pop("test.shape", None)


if __name__ == "__main__":
    known = json.loads(PATH.read_text()) if PATH.exists() else {}
    fresh = {f"{t} {k.SCHEMA_VERSION}": shape_of(k) for t, k in sorted(type_registry.items())}
    PATH.write_text(json.dumps({**fresh, **known}, indent=1, sort_keys=True) + "\n")
