"""Messages that no well-behaved client would send, on a real broker."""

import struct
from typing import Any

from aio_pika.abc import AbstractChannel
from pamqp import commands


class RawProperties(commands.Basic.Properties):
    """AMQP properties of which some are given as the bytes on the wire, whatever they mean."""

    def __init__(self, raw: dict[str, bytes], **properties: Any) -> None:
        super().__init__(**properties)
        self.raw = raw
        for name in raw:
            object.__setattr__(self, name, True)

    def encode_property(self, name: str, value: Any) -> bytes:
        """The bytes given for it, or the ordinary ones."""
        return self.raw[name] if name in self.raw else super().encode_property(name, value)


def epoch(number: int) -> bytes:
    """An AMQP timestamp as the 64 bits it is."""
    return struct.pack(">Q", number)


def short_text(raw: bytes) -> bytes:
    """A short string, in whatever encoding."""
    return bytes([len(raw)]) + raw


async def publish_raw(
    channel: AbstractChannel, exchange: str, routing_key: str, body: bytes, raw: dict[str, bytes]
) -> None:
    """Publish with properties as bytes."""
    underlay = await channel.get_underlay_channel()
    properties = RawProperties(raw, delivery_mode=None if "delivery_mode" in raw else 2)
    await underlay.basic_publish(body, exchange=exchange, routing_key=routing_key, properties=properties)
