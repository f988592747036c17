"""Messages that could never be handled, kept aside with the reason until somebody looks at them."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Protocol

import msgspec

from domain.errors import ParkedMessageNotFound

ROUTING_KEY_HEADER = "x-original-routing-key"
REASON_HEADER = "x-reason"
MESSAGE_ID_HEADER = "x-original-message-id"
"""The headers of a parked message. One that is sent back has the first, in the place of its routing key."""


class ParkedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One, as it came and why it stayed."""

    reason: str
    parked_at: datetime
    routing_key: str
    message_id: str
    body: bytes

    @property
    def id(self) -> str:
        """What it is called: the broker has no name for a message, so it is derived from all of it."""
        told = (self.parked_at.timestamp(), self.routing_key, self.message_id, self.body)
        return sha256(msgspec.msgpack.encode(told)).hexdigest()[:32]


class Parked(msgspec.Struct, frozen=True):
    """The oldest of them, and how many there are."""

    messages: Sequence[ParkedMessage]
    total: int


class ParkedMessages(Protocol):
    """Where they are kept.

    Whoever looks at them holds them for that moment: to somebody who looks in that very moment they are not
    there. All raise BrokerUnavailable where it cannot be told.
    """

    async def look(self, limit: int) -> Parked:
        """The oldest, up to so many; nothing is changed by that."""
        ...

    async def find(self, id: str) -> ParkedMessage:
        """One.

        Raises:
            ParkedMessageNotFound: it is not there, or not any more.
        """
        ...

    async def requeue(self, id: str) -> ParkedMessage:
        """Have one handled again. It leaves once it is back in the queue: after a crash it may be in both.

        Raises:
            ParkedMessageNotFound: it is not there, or not any more.
        """
        ...

    async def discard(self, id: str) -> ParkedMessage:
        """Throw one away, for good.

        Raises:
            ParkedMessageNotFound: it is not there, or not any more.
        """
        ...


def not_there(id: str) -> ParkedMessageNotFound:
    """What whoever asks for one that is not there is told."""
    return ParkedMessageNotFound(f"no message {id} is parked, or somebody else has just seen to it")
