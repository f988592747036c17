"""What can be asked of delegations."""

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
    """Take a delegation back; only ``by`` whom it is of, unless they ``may_do_all``."""

    delegation_id: str
    by: str
    may_do_all: bool
