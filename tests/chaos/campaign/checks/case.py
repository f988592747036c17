"""What the checker is given, and how it says what is wrong."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import msgspec

from tests.chaos.campaign.evidence import Asked, Seen, Sent
from tests.chaos.campaign.stored import StoredDocument, StoredEvent

SYSTEM_TENANT = "00000000-0000-0000-0000-000000000001"

Kind = Literal["lost", "doubled", "invented", "untrue", "stuck", "crossed", "disordered", "differs", "odd"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must not be. ``about`` is the id to look for in the evidence."""

    kind: Kind
    about: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what} [{self.about}]"


class Case(msgspec.Struct, kw_only=True, dict=True):
    """The evidence of one campaign. Queues hold the ids of the messages that were left in them."""

    tenants: Sequence[str]
    asked: list[Asked]
    sent: list[Sent]
    seen: list[Seen]
    events: list[StoredEvent]
    documents: list[StoredDocument]
    rebuilt: list[StoredDocument] = msgspec.field(default_factory=list)
    minutely: Sequence[str] = ()
    """The jobs that cron fires each minute, meanwhile from ``began`` to ``ended`` (seconds since 1970)."""
    began: float = 0.0
    ended: float = 0.0
    own_queue: list[str] = msgspec.field(default_factory=list)
    dead_letters: list[str] = msgspec.field(default_factory=list)
    job_queue: list[str] = msgspec.field(default_factory=list)

    @cached_property
    def streams(self) -> dict[str, list[StoredEvent]]:
        """Each stream's events, in log order."""
        found = defaultdict(list)
        for event in self.events:
            found[event.stream].append(event)
        return dict(found)

    @cached_property
    def by_mark(self) -> dict[str, list[StoredEvent]]:
        """The events by their correlation id, which is a request's mark."""
        found = defaultdict(list)
        for event in self.events:
            found[event.meta["correlation_id"]].append(event)
        return found

    @cached_property
    def by_cause(self) -> dict[str, list[StoredEvent]]:
        """The events by the message that caused them."""
        found = defaultdict(list)
        for event in self.events:
            for cause in {event.meta.get("causation_id"), event.meta["command_id"]} - {None}:
                found[cause].append(event)
        return found

    @cached_property
    def owners(self) -> dict[str, str]:
        """The tenant of each aggregate's id, by the names of the streams; the last part of one is its id."""
        return {stream.rsplit("/", 1)[1]: stream.split("/", 1)[0] for stream in self.streams}

    @cached_property
    def sent_ids(self) -> set[str]:
        """The ids of what the neighbours sent."""
        return {each.id for each in self.sent}
