"""AMQP properties read liberally (wire contract, section 1).

pamqp refuses a whole frame for one property that it cannot read: a timestamp in microseconds, a text
that is not UTF-8. aiormq ends the connection over it, the broker delivers the message again, and so on
for ever, with every other message behind it. None of these properties matter to us, so what cannot be
read is read as nothing, or as far as it goes.
"""

import struct
from datetime import datetime

from pamqp import decode
from pamqp.common import FieldTable

_EPOCH_BYTES = 8
_LENGTH_BYTES = 4


def be_liberal() -> None:
    """Let pamqp read what it would refuse. Once or many times is the same."""
    decode.METHODS.update(timestamp=_timestamp, shortstr=_short_text, table=_table)
    decode.TABLE_MAPPING.update({b"T": _timestamp, b"F": _table})


def _timestamp(value: bytes) -> tuple[int, datetime | None]:
    """Seconds or milliseconds; a time that is neither is none."""
    try:
        return decode.timestamp(value)
    except (ValueError, OverflowError, OSError):
        return _EPOCH_BYTES, None


def _short_text(value: bytes) -> tuple[int, str]:
    """UTF-8; other bytes as escapes, so that two texts that differ still do."""
    end = 1 + value[0]
    return end, value[1:end].decode("utf-8", errors="backslashreplace")


def _table(value: bytes) -> tuple[int, FieldTable]:
    """Headers; as a whole, or none of them."""
    try:
        return decode.field_table(value)
    except (ValueError, OverflowError):
        (length,) = struct.unpack(">I", value[:_LENGTH_BYTES])
        return _LENGTH_BYTES + length, {}
