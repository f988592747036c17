"""Proof of sealed fields: keys of single values, which an export gives away with the clear text."""

import base64
import binascii
from collections.abc import Sequence


def written(keys: Sequence[bytes | None]) -> list[str | None]:
    """The keys as an export has them."""
    return [None if key is None else base64.b64encode(key).decode() for key in keys]


def read(texts: Sequence[str | None]) -> list[bytes | None]:
    """The same again; what is no key opens nothing."""
    return [_key(text) for text in texts]


def _key(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == 32 else None
