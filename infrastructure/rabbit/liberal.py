"""Reads AMQP properties liberally (wire contract, section 1).

pamqp refuses a whole frame for one property that it cannot read: a timestamp in microseconds, or a text that
is not UTF-8. aiormq then closes the connection, the broker delivers the message again, and so on for ever,
with every other message behind it. The service needs none of these properties, so what cannot be read counts
as absent, or is read as far as possible.
"""

import struct
from datetime import datetime

from pamqp import decode
from pamqp.common import FieldTable

_EPOCH_BYTES = 8
_LENGTH_BYTES = 4


def be_liberal() -> None:
    """Make pamqp read what it would refuse. Repeated calls do no harm."""
    decode.METHODS.update(timestamp=_timestamp, shortstr=_short_text, table=_table)
    decode.TABLE_MAPPING.update({b"T": _timestamp, b"F": _table})


def _timestamp(value: bytes) -> tuple[int, datetime | None]:
    """Read seconds or milliseconds. A time that is neither counts as absent."""
    try:
        return decode.timestamp(value)
    except (ValueError, OverflowError, OSError):
        return _EPOCH_BYTES, None


def _short_text(value: bytes) -> tuple[int, str]:
    """Read UTF-8. Other bytes become escapes, so that different texts stay different."""
    end = 1 + value[0]
    return end, value[1:end].decode("utf-8", errors="backslashreplace")


def _table(value: bytes) -> tuple[int, FieldTable]:
    """Read headers: all of them, or none."""
    try:
        return decode.field_table(value)
    except (ValueError, OverflowError):
        (length,) = struct.unpack(">I", value[:_LENGTH_BYTES])
        return _LENGTH_BYTES + length, {}
