"""The lines of an export, as they are read again."""

import base64
import binascii
from typing import Annotated

import msgspec

_LARGEST = 2**63 - 1


class Line(msgspec.Struct, rename="camel"):
    """Any of them; what a kind of line does not have is empty."""

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
    state: str | None = None
    state_base64: str | None = None
    archive: str | None = None
    event: msgspec.Raw = msgspec.Raw()
    keys: tuple[str | None, ...] = ()
    begins: int = msgspec.field(default=1, name="from")


_line = msgspec.json.Decoder(Line)


def read_line(text: bytes) -> Line | None:
    """A line; none where it is none."""
    try:
        return _line.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def state_of(line: Line) -> bytes | None:
    """The bytes that were stored; none where the log had none."""
    if line.state is not None:
        return line.state.encode("utf-8", "surrogatepass")
    if line.state_base64 is None:
        return None
    try:
        return base64.b64decode(line.state_base64, validate=True)
    except (binascii.Error, ValueError):
        return b""


def named(line: Line) -> str:
    """What to call the event of a line."""
    return f"event {line.number}" + (f" ({line.stream} {line.version})" if line.kind == "event" else "")


def hash_of(text: str) -> bytes:
    """The bytes of a hash; none where it is no such text."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
