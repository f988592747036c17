"""Messages that came in and can never be handled: somebody looks at them, and says what becomes of each."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from domain.errors import ParkedMessageNotFound
from domain.values import derived_id

MOST_LOOKED_AT = 100
"""The oldest; those behind them are reached once these are dealt with."""


class ParkedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one without its body; ``message_id`` is the sender's, ``size`` is in bytes."""

    id: str
    message_id: str
    reason: str
    routing_key: str
    parked_at: datetime | None
    size: int


class ParkedMessages(Protocol):
    """The messages that are parked, the oldest first.

    Each method raises ``BrokerUnavailable`` where they cannot be reached, and ``ParkedMessagesHeld`` while
    somebody else is at them; what is about one raises ``ParkedMessageNotFound`` once it is parked no more.
    """

    async def oldest(self) -> tuple[Sequence[ParkedMessage], int]:
        """The first ``MOST_LOOKED_AT``, and how many there are. They stay where they are."""
        ...

    async def find(self, id: str) -> tuple[ParkedMessage, bytes]:
        """One with its body. It stays where it is."""
        ...

    async def requeue(self, id: str, note: Callable[[ParkedMessage], None]) -> ParkedMessage:
        """Hand one to the consumer again: at least once, whatever happens. ``note`` is told before."""
        ...

    async def discard(self, id: str, note: Callable[[ParkedMessage], None]) -> ParkedMessage:
        """Do away with one for good; ``note`` is told before, so that none goes in silence."""
        ...


def parked(
    body: bytes, *, message_id: str, reason: str, routing_key: str, parked_at: datetime | None
) -> ParkedMessage:
    """What a parked message is called by: always the same, for it is of all that it is."""
    when = parked_at.isoformat() if parked_at else ""
    return ParkedMessage(
        id=derived_id("parked", message_id, reason, routing_key, when, body.hex()),
        message_id=message_id,
        reason=reason,
        routing_key=routing_key,
        parked_at=parked_at,
        size=len(body),
    )


def not_parked(id: str) -> ParkedMessageNotFound:
    """There is none such, or somebody has dealt with it."""
    return ParkedMessageNotFound(f"there is no parked message {id}, or somebody has dealt with it")
