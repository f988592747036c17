"""The commands about delegations."""

from datetime import datetime

from application.command import Command


class Delegate(Command, frozen=True, kw_only=True):
    """Let ``to`` decide for ``by`` for some time."""

    delegation_id: str
    by: str
    to: str
    starts_at: datetime
    ends_at: datetime
    reason: str | None = None


class EndDelegation(Command, frozen=True, kw_only=True):
    """End a delegation. Only ``by``, who gave it, may do so, unless they ``may_do_all``."""

    delegation_id: str
    by: str
    may_do_all: bool
