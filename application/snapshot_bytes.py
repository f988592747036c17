"""Writes the folded state of a stream to bytes and reads it back exactly as it was: types, tuples and all.

The format is pickle, which otherwise may run anybody's code when it is read. Whoever can write to the
database must not get into the process that way. So only the domain's own immutable structs, and what they
consist of, can be built. Any other name is refused before anything is created.
"""

import io
import pickle
import sys
from typing import Any

import msgspec

_HARMLESS = {
    ("datetime", "datetime"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("immutables._map", "Map"),
    ("msgspec._utils", "rebuild"),
}
"""``rebuild`` makes a struct of a type, which is named in the same way, from its fields by name."""


class Unreadable(ValueError):
    """This release cannot have written these bytes."""


def to_bytes(value: Any) -> bytes:
    """Raises:
    Exception: it holds what cannot be kept.
    """
    return pickle.dumps(value, protocol=5)


def from_bytes(content: bytes) -> Any:
    """Raises:
    Unreadable: it is cut off, damaged, or names what no state is made of.
    """
    try:
        return _Reader(io.BytesIO(content)).load()
    except Exception as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) in _HARMLESS:
            return super().find_class(module, name)
        found = getattr(sys.modules.get(module), name, None) if module.startswith("domain.") else None
        if isinstance(found, type) and issubclass(found, msgspec.Struct):
            return found
        raise Unreadable(f"{module}.{name} is nothing that a state is made of")
