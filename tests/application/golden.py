"""The golden file: stored events as they were written, which every later version must still read.

An entry is never edited or removed. A new event type, or a new schema version of one, gets an entry:
fill it into ``tests/samples.py`` and run ``python -m tests.application.golden``, which only ever adds.
"""

import json
from pathlib import Path

import msgspec
from eventsourcing.persistence import JSONTranscoder, StoredEvent

from application.event_mapper import EventMapper
from domain.event import Recorded
from tests.samples import SAMPLES, STREAM

PATH = Path(__file__).with_name("golden_events.json")


class Golden(msgspec.Struct, frozen=True):
    """One stored event: its topic, its schema version and its stored bytes as text."""

    topic: str
    version: int
    state: str

    @property
    def stored(self) -> StoredEvent:
        """As the recorder gives it back."""
        return StoredEvent(STREAM, 3, self.topic, self.state.encode())


def load() -> list[Golden]:
    """Every entry."""
    return msgspec.json.decode(PATH.read_bytes(), type=list[Golden])


def entry_of(recorded: Recorded) -> Golden:
    """What would be stored now."""
    stored = EventMapper(transcoder=JSONTranscoder()).to_stored_event(recorded)
    return Golden(stored.topic, recorded.event.SCHEMA_VERSION, stored.state.decode())


def add_missing() -> list[Golden]:
    """Add what has no entry yet; the entries added."""
    present = load() if PATH.exists() else []
    known = {(golden.topic, golden.version) for golden in present}
    candidates = [entry_of(recorded) for recorded in SAMPLES.values()]
    added = [golden for golden in candidates if (golden.topic, golden.version) not in known]
    entries = [msgspec.to_builtins(golden) for golden in [*present, *added]]
    PATH.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
    return added


if __name__ == "__main__":
    for golden in add_missing():
        print("added", golden.topic, golden.version)
