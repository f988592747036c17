"""The approvals file while the service runs: it may change at any time, and a bad change changes nothing."""

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
"""How often, at most, it is looked whether the file has changed."""

_MOST_TOLD = 50

_HOLDS = {"holds": "what it said before"}

_Version = tuple[int, int, int]

log = structlog.get_logger(__name__)


class LiveApprovals:
    """What the file says now, or said when it was last good."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        """Read the file.

        Raises:
            BadApprovals: with every fault.
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
        """What a tenant has laid down."""
        tenants = self.tenants()
        return tenants.get(tenant, tenants.get(EVERYONE_ELSE, NOTHING))

    def tenants(self) -> Mapping[str, LaidDown]:
        """What each that is named has laid down."""
        now = self._now()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look()
        return self._tenants

    def wrong(self) -> str | None:
        """Why what the file says now is not what holds, if it is so. A start would be refused."""
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
    """What stands in the file, as far as it may be read, and which version of it that is.

    The version is the older of the two: who writes meanwhile is read again.
    """
    with path.open("rb") as file:
        version = _version(os.fstat(file.fileno()))
        return file.read(MOST_BYTES + 1), version


def _version(found: os.stat_result) -> _Version:
    return found.st_mtime_ns, found.st_size, found.st_ino
