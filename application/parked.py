"""Received messages that can never be handled. People look at them, and decide what becomes of each."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from domain.errors import ParkedMessageNotFound
from domain.values import derived_id

MOST_LOOKED_AT = 100
"""How many of the oldest are shown. Those behind them are reached once these are dealt with."""


class ParkedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a message without its body. ``message_id`` is the sender's, ``size`` is in bytes."""

    id: str
    message_id: str
    reason: str
    routing_key: str
    parked_at: datetime | None
    size: int


class ParkedMessages(Protocol):
    """The parked messages, the oldest first.

    Each method raises ``BrokerUnavailable`` if they cannot be reached, and ``ParkedMessagesHeld`` while
    somebody else is handling them. A method about one message raises ``ParkedMessageNotFound`` if it is no
    longer parked.
    """

    async def oldest(self) -> tuple[Sequence[ParkedMessage], int]:
        """Return the first ``MOST_LOOKED_AT``, and how many there are. They stay where they are."""
        ...

    async def find(self, id: str) -> tuple[ParkedMessage, bytes]:
        """Return one message with its body. It stays where it is."""
        ...

    async def requeue(self, id: str, note: Callable[[ParkedMessage], None]) -> ParkedMessage:
        """Hand a message to the consumer again: at least once, whatever happens. ``note`` is called
        before."""
        ...

    async def discard(self, id: str, note: Callable[[ParkedMessage], None]) -> ParkedMessage:
        """Delete a message for good. ``note`` is called before, so that none disappears silently."""
        ...


def parked(
    body: bytes, *, message_id: str, reason: str, routing_key: str, parked_at: datetime | None
) -> ParkedMessage:
    """Return a parked message. Its id is always the same, because it depends on everything in the message."""
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
    """Return the error that there is no such message, or that somebody has dealt with it."""
    return ParkedMessageNotFound(f"there is no parked message {id}, or somebody has dealt with it")
