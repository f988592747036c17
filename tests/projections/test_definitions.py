"""``workflow_definitions``: what a definition's document shows through its life."""

from typing import Any

import msgspec
import pytest

from domain.definition import WorkflowDefinition
from domain.event import Event
from domain.published_definition import (
    DefinitionPublished,
    DefinitionRetired,
    PublishedDefinition,
    definition_stream,
    evolve,
    publish,
    retire,
)
from projections.definitions import Definitions, shipped_document, version_document
from projections.projection import ProjectionGap, document_of
from tests.builders import NOW, TENANT, recorded
from tests.samples_definitions import DEFINITION

NAME = DEFINITION.name


def described(text: str) -> WorkflowDefinition:
    return msgspec.structs.replace(DEFINITION, description=text)


class Life:
    """What has become of a definition."""

    def __init__(self) -> None:
        self.state: PublishedDefinition | None = None
        self.events: list[Event] = []

    def publish(self, text: str) -> "Life":
        return self._happened(publish(self.state, described(text), as_new=False, now=NOW))

    def retire(self, version: int | None = None) -> "Life":
        return self._happened(retire(self.state, name=NAME, version=version, now=NOW))

    def document(self) -> dict[str, Any]:
        events = recorded(definition_stream(TENANT, NAME), self.events)
        shown: dict[str, Any] = msgspec.json.decode(document_of(Definitions(), NAME, events))
        return shown

    def _happened(self, events: tuple[Event, ...]) -> "Life":
        for event in events:
            self.state = evolve(self.state, event)
            self.events.append(event)
        return self


def test_a_published_definition_is_its_document_and_whose_it_is() -> None:
    assert Life().publish("first").document() == {
        "name": "deal-check",
        "version": 1,
        "description": "first",
        "needsOpportunity": True,
        "inputSchema": {"type": "object", "properties": {"id": {"type": "string"}}},
        "deadline": 3600,
        "concurrency": {"policy": "queue", "key": "input.id", "debounce": 5},
        "triggers": [
            {
                "messageType": "contract.signed",
                "filter": "data.id",
                "opportunityId": "data.deal",
                "input": {"id": "data.id"},
            }
        ],
        "announcements": {
            "started": "deal.check.started",
            "completed": "deal.check.done",
            "failed": "deal.check.bad",
        },
        "steps": [
            {
                "stepType": "each",
                "kind": "map",
                "timeout": "none",
                "map": {
                    "over": "input.ids",
                    "each": {
                        "kind": "http",
                        "parameters": {"service": "ml_service", "method": "GET", "path": "/api/v1/x/{id}"},
                        "input": {"id": "input.id"},
                        "retry": {
                            "attempts": 3,
                            "delay": 2,
                            "factor": 1.5,
                            "maxDelay": 60,
                            "jitter": 0.25,
                            "retryable": ["timed_out", "rejected"],
                        },
                        "timeout": 30,
                    },
                    "atOnce": 3,
                    "tolerate": 1,
                },
                "resultKey": "all",
            },
            {
                "stepType": "last",
                "kind": "task",
                "parameters": {"queue": "reviews"},
                "timeout": 900,
                "after": ["each"],
                "critical": True,
                "when": "results.all",
                "compensation": {
                    "kind": "http",
                    "parameters": {"service": "ml_service", "method": "GET", "path": "/api/v1/x/{id}"},
                    "input": {"id": "input.id"},
                    "retry": {
                        "attempts": 3,
                        "delay": 2,
                        "factor": 1.5,
                        "maxDelay": 60,
                        "jitter": 0.25,
                        "retryable": ["timed_out", "rejected"],
                    },
                    "timeout": 30,
                },
                "resultKey": "last",
            },
        ],
        "id": "deal-check",
        "tenantId": TENANT,
        "shipped": False,
        "status": "active",
        "latestVersion": 1,
        "retiredVersions": [],
        "createdAt": "2026-11-22T22:10:05.123Z",
        "updatedAt": "2026-11-22T22:10:05.123Z",
    }


def test_the_newest_version_that_is_not_retired_is_shown_and_at_last_the_last() -> None:
    def told(life: Life) -> tuple[Any, ...]:
        shown = life.document()
        assert shown["createdAt"] == "2026-11-22T22:10:05.123Z"
        return tuple(
            shown[name] for name in ("version", "description", "status", "latestVersion", "retiredVersions")
        )

    life = Life().publish("first").publish("second")
    assert told(life) == (2, "second", "active", 2, [])
    assert told(life.retire(2)) == (1, "first", "active", 2, [2])
    assert told(life.publish("third")) == (3, "third", "active", 3, [2])
    assert told(life.retire()) == (3, "third", "retired", 3, [1, 2, 3])
    assert told(life.publish("fourth")) == (4, "fourth", "active", 4, [1, 2, 3])


def test_one_version_is_shown_as_it_was_published() -> None:
    life = Life().publish("first").publish("second").retire(1)
    assert life.state is not None
    first = version_document(life.document(), life.state, 1)
    assert (first["version"], first["description"], first["status"]) == (1, "first", "retired")
    second = version_document(life.document(), life.state, 2)
    assert second == life.document()


def test_what_is_shipped_has_no_tenant_and_no_times() -> None:
    shown = shipped_document(DEFINITION)
    assert (shown["shipped"], shown["status"]) == (True, "active")
    assert not {"tenantId", "createdAt", "updatedAt", "id"} & set(shown)


def test_a_retirement_without_what_was_published_is_a_gap() -> None:
    (event,) = recorded("s", [DefinitionRetired(name=NAME, versions=(1,), retired_at=NOW)])
    with pytest.raises(ProjectionGap, match="rebuild"):
        Definitions().apply({}, event)


def test_it_reads_the_events_of_definitions_alone() -> None:
    event = DefinitionPublished(name=NAME, version=1, definition=DEFINITION, published_at=NOW)
    assert Definitions().reads(event) == [NAME]
    assert Definitions().reads(Event()) == ()
