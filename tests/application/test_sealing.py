"""Sealed events: what was recorded comes back with its keys, and nothing personal without them."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from eventsourcing.persistence import JSONTranscoder, StoredEvent
from hypothesis import given
from hypothesis import strategies as st

from application.event_log import EventLog
from application.event_mapper import EventMapper
from application.privacy.ciphers import MasterKey, new_key
from application.privacy.keyring import Keyring
from application.privacy.ports import PersonalKeys
from application.privacy.sealing import PersonalNames, Sealing
from domain.event import Recorded
from domain.privacy import ERASED, kept_subject
from domain.workflow import WorkflowCompleted
from infrastructure.sqlite.recorder import LogRecorder
from tests.application.logs import sqlite_settings
from tests.builders import NOW, TENANT, metadata

NAMES = {"name": "personId", "email": "personId", "note": "personId"}
ORDINARY = st.sampled_from(["terms", "personId", "sealed", "data", "keys"])
MEMBERS = ORDINARY | st.sampled_from(sorted(NAMES))

SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.just(ERASED)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=12,
)
RESULTS = st.dictionaries(MEMBERS, VALUES, max_size=4)


class Keys:
    """Keys in memory: the cryptography is real."""

    def __init__(self) -> None:
        self.by_subject: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.destroyed = 0

    def named(self, ids: Collection[str]) -> Mapping[str, bytes]:
        return {id: wrapped for id, wrapped in self.by_subject.values() if id in ids}

    def of(self, tenant: str, subject: str) -> tuple[str, bytes] | None:
        return self.by_subject.get((tenant, subject))

    def put(self, tenant: str, subject: str, id: str, wrapped: bytes) -> tuple[str, bytes]:
        return self.by_subject.setdefault((tenant, subject), (id, wrapped))

    def erasures(self) -> int:
        return self.destroyed


def mapper(keys: Keys) -> EventMapper:
    made = EventMapper(transcoder=JSONTranscoder())
    made.sealing = Sealing(Keyring(cast(PersonalKeys, keys), MASTER, fresh_seconds=0), PersonalNames(NAMES))
    return made


MASTER = MasterKey(new_key())


def completed(results: Mapping[str, Any]) -> Recorded:
    event = WorkflowCompleted(workflow_id="w", execution_id="e", results=results, completed_at=NOW)
    return Recorded(stream=f"{TENANT}/workflow/w", version=3, timestamp=NOW, meta=metadata(), event=event)


def erased(value: Any) -> Any:
    """What is left of a value whose personal members are erased."""
    if isinstance(value, dict):
        return {name: ERASED if name in NAMES else erased(inner) for name, inner in value.items()}
    return [erased(inner) for inner in value] if isinstance(value, list) else value


@given(RESULTS)
def test_what_was_recorded_comes_back_and_without_its_keys_nothing_personal(results: dict[str, Any]) -> None:
    keys, recorded = Keys(), completed(results)
    stored = mapper(keys).to_stored_event(recorded)
    assert mapper(keys).to_domain_event(stored) == recorded
    without = completed(erased(results)).event
    assert EventMapper(transcoder=JSONTranscoder()).to_domain_event(stored).event == without
    keys.by_subject.clear()
    assert mapper(keys).to_domain_event(stored).event == without


def test_nothing_is_sealed_with_a_key_that_was_lost_in_a_failover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, secret = Keys(), completed({"name": "Zebedee"})
    log = EventLog(sqlite_settings(tmp_path), mapper(keys).sealing)
    log.look_for_erasures()
    log.stored(secret)
    keys.by_subject.clear()
    monkeypatch.setattr(LogRecorder, "switches", 1)
    log.look_for_erasures()
    stored = log.stored(secret)
    assert mapper(keys).to_domain_event(stored) == secret
    log.close()


@given(RESULTS)
def test_what_is_moved_elsewhere_does_not_open(results: dict[str, Any]) -> None:
    keys = Keys()
    stored = mapper(keys).to_stored_event(completed({**results, "name": "Zebedee"}))
    for stream, version in (("other/workflow/w", 3), (f"{TENANT}/workflow/w", 4)):
        moved = StoredEvent(stream, version, stored.topic, stored.state)
        event = mapper(keys).to_domain_event(moved).event
        assert isinstance(event, WorkflowCompleted)
        assert event.results["name"] == ERASED


@given(VALUES)
def test_nothing_that_is_given_is_taken_for_sealed(value: Any) -> None:
    """Not even what was sealed elsewhere, under a key that there is."""
    keys = Keys()
    secret = json.loads(mapper(keys).to_stored_event(completed({"name": "Zebedee"})).state)["sealed"]
    given_back = {"terms": {"sealed": secret, "data": value}}
    stored = mapper(keys).to_stored_event(completed(given_back))
    read = mapper(keys).to_domain_event(stored)
    assert "Zebedee" not in msgspec.json.encode(read.event).decode()
    assert read.event == completed(given_back).event


SAID = "it is for her divorce"
APPROVED = {"approvalId": "a", "outcome": "approved", "decidedBy": "bob", "comment": SAID}
WITHDRAWN = {"approvalId": "a", "outcome": "withdrawn", "withdrawnBy": "cid", "reason": SAID}


@pytest.mark.parametrize(
    ("decision", "member", "subject"), [(APPROVED, "comment", "bob"), (WITHDRAWN, "reason", "cid")]
)
def test_what_people_said_in_decisions_is_sealed_wherever_it_was_passed_on_to(
    decision: dict[str, Any], member: str, subject: str
) -> None:
    keys, nobodys = Keys(), {"comment": "of a machine", "reason": "out of stock", "decidedBy": "bob"}
    recorded = completed({"sign_off": decision, "run": {"results": [decision]}, "other": nobodys})
    stored = mapper(keys).to_stored_event(recorded)
    assert SAID.encode() not in stored.state
    assert mapper(keys).to_domain_event(stored) == recorded
    assert keys.by_subject.keys() == {(TENANT, subject)}
    keys.by_subject.clear()
    without = decision | {member: ERASED}
    left = completed({"sign_off": without, "run": {"results": [without]}, "other": nobodys})
    assert mapper(keys).to_domain_event(stored).event == left.event


@pytest.mark.parametrize(
    ("id", "subject"), [("c-9", "c-9"), (7, "7"), (7.0, "7"), (7.5, "c-1"), (True, "c-1"), ("", "c-1")]
)
def test_an_id_that_is_a_whole_number_names_whose_a_value_is_however_it_is_written(
    id: object, subject: str
) -> None:
    """An erasure of 7 would not reach what stood beside 7.0. What is no id is looked for further up."""
    keys = Keys()
    mapper(keys).to_stored_event(completed({"personId": "c-1", "deal": {"personId": id, "name": "Zebedee"}}))
    assert keys.by_subject.keys() == {(TENANT, subject)}


def test_a_key_is_kept_under_an_id_that_is_too_long_for_a_store_by_its_digest() -> None:
    keys = Keys()
    mapper(keys).to_stored_event(completed({"personId": "p" * 1_001, "name": "Zebedee"}))
    ((tenant, subject),) = keys.by_subject
    assert (tenant, subject) == (TENANT, kept_subject("p" * 1_001))
    assert subject.startswith("sha256:")
    assert len(subject) < 100


def test_what_the_service_decided_by_itself_is_nobodys() -> None:
    keys = Keys()
    stored = mapper(keys).to_stored_event(completed({"sign_off": APPROVED | {"decidedBy": "system:x"}}))
    assert SAID.encode() in stored.state
    assert not keys.by_subject
