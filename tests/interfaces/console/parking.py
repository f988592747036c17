"""A parked message, without a broker."""

from datetime import UTC, datetime

from application.parked import parked
from infrastructure.memory.parked import InProcessParkedMessages
from tests.harness import Service


def park(running: Service) -> str:
    """The id of a message that is parked from now on."""
    message = parked(b"bad", message_id="", reason="bad", routing_key="key", parked_at=datetime.now(UTC))
    kept = running.container.transport.parked
    assert isinstance(kept, InProcessParkedMessages)
    kept.park(message, b"bad")
    return message.id
