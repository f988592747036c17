"""The approvals file while the service is running: changes apply at once, unless the file is not valid."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from interfaces.approvals.file import (
    EVERYONE_ELSE,
    MOST_BYTES,
    NOTHING,
    BadApprovals,
    LaidDown,
    read_approvals,
)

LOOK_SECONDS = 1.0
"""The least time between two checks for changes of the file."""

_MOST_TOLD = 50

_HOLDS = {"holds": "what it said before"}

_Version = tuple[int, int, int]

log = structlog.get_logger(__name__)


class LiveApprovals:
    """The content of the file, or its last valid content."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        """Read the file.

        Raises:
            BadApprovals: it is not valid.
            OSError: it cannot be read.
        """
        self._path = path
        self._now = now
        self._looked_at = now()
        self._version: _Version | None
        raw, self._version = _contents(path)
        self._tenants = read_approvals(raw)
        self._wrong: str | None = None

    def of(self, tenant: str) -> LaidDown:
        """Return the terms and groups of a tenant."""
        tenants = self.tenants()
        return tenants.get(tenant, tenants.get(EVERYONE_ELSE, NOTHING))

    def tenants(self) -> Mapping[str, LaidDown]:
        """Return the terms and groups of each tenant that the file names."""
        now = self._now()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look()
        return self._tenants

    def wrong(self) -> str | None:
        """Return why the present content of the file does not apply, or None if it does. The service would
        not start with such a file."""
        self.tenants()
        return self._wrong

    def _look(self) -> None:
        try:
            if _version(os.stat(self._path)) == self._version:
                return
            raw, version = _contents(self._path)
        except OSError as error:
            if self._version is not None:
                log.error("approvals_file_unreadable", file=str(self._path), reason=str(error), **_HOLDS)
            self._version, self._wrong = None, "cannot be read"
            return
        self._version = version
        try:
            self._tenants = read_approvals(raw)
        except BadApprovals as bad:
            self._wrong = f"has {len(bad.lines)} {'fault' if len(bad.lines) == 1 else 'faults'}"
            log.error("approvals_file_bad", file=str(self._path), faults=bad.lines[:_MOST_TOLD], **_HOLDS)
        else:
            self._wrong = None
            log.info("approvals_file_read", file=str(self._path), tenants=len(self._tenants))


def _contents(path: Path) -> tuple[bytes, _Version]:
    """Return the file's content, up to the size limit, and its version. The version is determined first, so
    that a file that is changed meanwhile is read again."""
    with path.open("rb") as file:
        version = _version(os.fstat(file.fileno()))
        return file.read(MOST_BYTES + 1), version


def _version(found: os.stat_result) -> _Version:
    return found.st_mtime_ns, found.st_size, found.st_ino
