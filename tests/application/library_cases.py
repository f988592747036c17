"""The event store library's own test cases, as installed.

Their module imports a cipher from a package that we do not have, for cases that we do not run: a
stand-in takes its name meanwhile.
"""

import sys
from importlib import import_module
from types import ModuleType

_CIPHER = "eventsourcing.cipher"


def _with_a_cipher_to_import() -> None:
    stand_in = ModuleType(_CIPHER)
    stand_in.AESCipher = None  # type: ignore[attr-defined]
    added = sys.modules.setdefault(_CIPHER, stand_in) is stand_in
    try:
        import_module("eventsourcing.tests.persistence")
    finally:
        if added:
            del sys.modules[_CIPHER]


_with_a_cipher_to_import()

from eventsourcing.tests import persistence as library  # noqa: E402

__all__ = ["library"]
