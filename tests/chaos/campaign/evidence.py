"""What was sent, told and seen in a campaign: in memory for the checker, and line by line on the disk.

A client notes exactly what it sent and what it was told, and repeats nothing by itself.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

Told = Literal["yes", "no", "unknown"]

COMMANDS = ("ask", "approve", "reject", "start", "retry", "trigger")
QUERIES = ("read", "list")
PROBES = ("foreign", "forbidden")
"""What must be answered with 404, because it is another tenant's, or with 403."""


class Asked(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One request over HTTP. ``mark`` is its correlation id, which no other request has."""

    mark: str
    kind: str
    tenant: str
    path: str
    instance: int
    at: float
    target: str | None = None
    body: dict[str, Any] | None = None
    seconds: float = 0.0
    status: int | None = None
    answer: dict[str, Any] | None = None
    fault: str | None = None

    @property
    def told(self) -> Told:
        """What the client may believe: 5xx, a time-out and a broken connection say nothing."""
        if self.status is None or self.status >= 500:
            return "unknown"
        return "yes" if self.status < 300 else "no"


class Sent(msgspec.Struct, kw_only=True):
    """One try of a neighbour to publish a message; the same id may be tried many times."""

    id: str
    type: str
    tenant: str
    data: dict[str, Any]
    confirmed: bool
    at: float


class Seen(msgspec.Struct, kw_only=True):
    """One message on the wire, in the order of the queue that catches everything."""

    number: int
    at: float
    redelivered: bool
    routing_key: str
    message_id: str | None
    body: dict[str, Any]


class Fault(msgspec.Struct, kw_only=True):
    """Something that was done to the system."""

    name: str
    at: float
    detail: str = ""


class Evidence:
    """Everything that was noted; with a ``folder`` it is written there too."""

    def __init__(self, folder: Path | None = None) -> None:
        self.asked: list[Asked] = []
        self.sent: list[Sent] = []
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}

    def note_asked(self, asked: Asked) -> None:
        """A request that was answered, or given up."""
        self.asked.append(asked)
        self._write("asked", asked)

    def note_sent(self, sent: Sent) -> None:
        """A try to publish."""
        self.sent.append(sent)
        self._write("sent", sent)

    def note_seen(self, *, redelivered: bool, routing_key: str, message_id: str | None, body: bytes) -> Seen:
        """A message on the wire."""
        seen = Seen(
            number=len(self.seen),
            at=time.time(),
            redelivered=redelivered,
            routing_key=routing_key,
            message_id=message_id,
            body=msgspec.json.decode(body),
        )
        self.seen.append(seen)
        self._write("seen", seen)
        return seen

    def note_fault(self, name: str, detail: str = "") -> None:
        """A fault that begins, or its end."""
        fault = Fault(name=name, at=time.time(), detail=detail)
        self.faults.append(fault)
        self._write("faults", fault)

    def note_waiting(self, what: str) -> None:
        """What the end of a campaign still waits for."""
        self._write("waiting", Fault(name=what, at=time.time()))

    def write(self, name: str, rows: Mapping[str, Any] | list[Any]) -> None:
        """A file of its own, beside the others."""
        if self._folder is not None:
            (self._folder / name).write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1))

    def close(self) -> None:
        """Give back the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _write(self, name: str, row: msgspec.Struct) -> None:
        if self._folder is None:
            return
        if name not in self._files:
            self._files[name] = (self._folder / f"{name}.ndjson").open("ab")
        self._files[name].write(msgspec.json.encode(row) + b"\n")
