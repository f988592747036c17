"""What every command has; what the service can be asked to do stands in the modules ``…_commands``.

``meta`` says who asks, for which tenant and through what; its ``command_id`` makes a repeated command
harmless. ``expected_version`` is the version the caller has seen (``If-Match``). What comes of one that
``names_no_correlation`` belongs to what the thing belongs to that it is about: who began that with a
correlation finds by it what others have done with it.
"""

from datetime import datetime
from typing import Protocol

import msgspec

from domain.event import Metadata


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What all commands carry."""

    meta: Metadata
    expected_version: int | None = None
    names_no_correlation: bool = False


class ComesDue(Protocol):
    """A command whose time comes."""

    @property
    def due_at(self) -> datetime:
        """When that is."""
        ...


def moment_of(command: ComesDue, now: datetime) -> datetime:
    """When a command is carried out whose time has come, by ``now``: a clock that was set back since does not
    save what was due, nor hold it back.
    """
    return max(now, command.due_at)
