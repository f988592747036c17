"""Proof of sealed fields: an export contains the keys of the single values that it shows."""

import base64
import binascii
from collections.abc import Sequence


def written(keys: Sequence[bytes | None]) -> list[str | None]:
    """Return keys in the form of an export."""
    return [None if key is None else base64.b64encode(key).decode() for key in keys]


def read(texts: Sequence[str | None]) -> list[bytes | None]:
    """Return the keys in an export. A text that is not a key becomes None."""
    return [_key(text) for text in texts]


def _key(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == 32 else None
