"""Identifies the code that made something derived. Another release may fold in another way, so it does not
use the result."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from types import ModuleType


def recipe_of(*modules: ModuleType) -> str:
    """Return a hash of the code of modules, and of everything in those that are packages."""
    digest = sha256()
    for module in modules:
        for file in _files(module):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _files(module: ModuleType) -> Iterable[Path]:
    if hasattr(module, "__path__"):
        for path in module.__path__:
            yield from sorted(Path(path).rglob("*.py"))
    elif module.__file__ is not None:
        yield Path(module.__file__)
