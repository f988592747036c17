"""What runs in this process, by name and version."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from platform import python_version

from config.settings import DISTRIBUTION

_LIBRARIES = (
    "apscheduler",
    "azure-cosmos",
    "eventsourcing",
    "faststream",
    "msgspec",
    "pydantic",
    "starlette",
    "uvicorn",
)


@cache
def versions() -> Mapping[str, str]:
    """Return the versions of the service, of Python, and of the libraries that it is built on."""
    return {
        DISTRIBUTION: version(DISTRIBUTION),
        "python": python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }
