"""By what something derived was made: another release may fold otherwise, and takes nothing over."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from types import ModuleType


def recipe_of(*modules: ModuleType) -> str:
    """A hash over the code of modules, and of all that is in those that are packages."""
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
