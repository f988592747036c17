"""What every command has. The commands themselves are in the modules ``…_commands``.

``meta`` says who asks, for which tenant and through which channel. Its ``command_id`` makes a repeated
command harmless. ``expected_version`` is the version that the caller has seen (``If-Match``). If ``meta``
``names_no_correlation``, the new events take the correlation of the thing that the command is about: whoever
began that with a correlation finds by it what others have done.
"""

from datetime import datetime
from typing import Protocol

import msgspec

from domain.event import Metadata


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that all commands have."""

    meta: Metadata
    expected_version: int | None = None
    names_no_correlation: bool = False


class ComesDue(Protocol):
    """A command that a timer gives when its time has come."""

    @property
    def due_at(self) -> datetime:
        """When the time has come."""
        ...


def moment_of(command: ComesDue, now: datetime) -> datetime:
    """Return the time at which to carry out a command whose time has come. If the clock was set back since,
    that neither cancels nor delays what was due."""
    return max(now, command.due_at)
