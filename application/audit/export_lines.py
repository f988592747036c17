"""The lines of an export, as they are read back."""

import base64
import binascii
import json
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

_LARGEST = 2**63 - 1

LONGEST_NAME = 1_000
"""How many characters of the name of a stream or a member are shown. A file may have names of any length."""

_MEMBERS_NAMED = 20


class Line(msgspec.Struct, rename="camel"):
    """Any line. Fields that a kind of line does not have are empty."""

    kind: str
    format: str = ""
    tenant_id: str = ""
    number: int = 0
    hash: str = ""
    leaf: str = ""
    previous: str = ""
    stream: str = ""
    version: Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)] = 0
    topic: str = ""
    position: str | int = ""
    state: str | None = None
    state_base64: str | None = None
    archive: str | None = None
    event: msgspec.Raw = msgspec.Raw()
    keys: tuple[str | None, ...] = ()
    begins: int = msgspec.field(default=1, name="from")


_line = msgspec.json.Decoder(Line)

_MEMBERS = {
    "header": {"kind", "format", "tenantId", "from", "previous", "number", "exportedAt"},
    "event": {
        *("kind", "number", "position", "stream", "version", "topic"),
        *("state", "stateBase64", "leaf", "hash", "event", "keys"),
    },
    "leaf": {"kind", "number", "leaf", "hash", "archive"},
    "head": {"kind", "tenantId", "number", "position", "hash", "signedAt", "keyId", "signature"},
}


def read_line(text: bytes) -> Line | None:
    """Return a line, or None if the text is none."""
    try:
        return _line.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def doubtful_members(line: Line, text: bytes) -> list[str]:
    """Return what is wrong with the members of a line: some readers would see what was not checked.

    If a member occurs twice, one reader uses the first and another the last. A member that lines of its kind
    do not have is shown, and nothing proves it.
    """
    known = _MEMBERS.get(line.kind)
    if known is None:
        return []
    doubled: Sequence[str] = ()
    if (members := _plain(text)) is None:
        try:
            members, doubled = _told_apart(text)
        except (ValueError, RecursionError):
            return ["cannot be read as a whole: what is shown in it was not checked"]
    found = [f"has the member {_shown(name)} more than once" for name in doubled[:_MEMBERS_NAMED]]
    unknown = sorted(members.keys() - known)[:_MEMBERS_NAMED]
    found += [
        f"has the member {_shown(name)}, which no line of the kind {line.kind!r} has" for name in unknown
    ]
    if "state" in members and "stateBase64" in members:
        found.append("has both 'state' and 'stateBase64'")
    return sorted(found)


def _plain(text: bytes) -> dict[str, Any] | None:
    """Return the members of a line that is exactly what an export writes. Nothing can be hidden in it."""
    try:
        members: dict[str, Any] = msgspec.json.decode(text)
        return members if msgspec.json.encode(members) == text.rstrip(b"\n") else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _told_apart(text: bytes) -> tuple[dict[str, Any], list[str]]:
    """Return the members of a line, and the names that occur more than once in one of its objects.

    Raises:
        ValueError, RecursionError: it is too deep, or has a number that is too long.
    """
    doubled: set[str] = set()

    def take(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        doubled.update(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        return dict(pairs)

    members = json.loads(text, object_pairs_hook=take)
    return members, sorted(doubled)


def state_of(line: Line) -> bytes | None:
    """Return the bytes that were stored, or None if the log had none."""
    if line.state is not None:
        return line.state.encode("utf-8", "surrogatepass")
    if line.state_base64 is None:
        return None
    try:
        return base64.b64decode(line.state_base64, validate=True)
    except (binascii.Error, ValueError):
        return b""


def named(line: Line) -> str:
    """Return how to name a line in a message."""
    if line.kind in ("header", "head"):
        return f"the {line.kind}"
    of = f" ({line.stream[:LONGEST_NAME]} {line.version})" if line.kind == "event" else ""
    return f"event {line.number}{of}"


def _shown(name: str) -> str:
    return repr(name[:LONGEST_NAME])
