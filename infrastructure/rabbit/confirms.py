"""Messages on a channel of aiormq's, each with its confirmation to wait for.

Its own ``basic_publish`` enters a lock, a time limit and two more contexts for each message, and two sets of
futures keep it: more than half of what a message costs (ADR 46). What the channel knows of who waits is kept
as it is there: the number of the last message, and a future under each number.
"""

import asyncio
from functools import lru_cache

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel, Returning
from aiormq.exceptions import AMQPError, ChannelInvalidStateError
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from application.overdue import Overdue

CONFIRM_TIMEOUT_SECONDS = 10.0


class Confirms:
    """Publishes on one channel, whose broker confirms. To be used from its event loop."""

    def __init__(self, channel: Channel) -> None:
        assert channel.write_queue.maxsize == 0, "what has a number is queued at once"
        self.channel = channel
        self._unconfirmed = Overdue[asyncio.Future[Basic.Ack]](CONFIRM_TIMEOUT_SECONDS, _give_up)
        channel.closing.add_done_callback(self._end)

    def takes(self, body: bytes) -> bool:
        """Whether a body goes in one frame."""
        return 0 < len(body) <= self.channel.max_content_size

    async def publish(
        self, body: bytes, exchange: str, routing_key: str, properties: Basic.Properties
    ) -> None:
        """Publish what nobody need take, and wait for the confirmation.

        Raises:
            DeliveryError: the broker has not taken it.
            TimeoutError: it said nothing.
            AMQPError, ConnectionError: why the channel ended before.
        """
        channel = self.channel
        if channel.is_closed:
            raise ChannelInvalidStateError(f"{channel!r} closed")
        loop = asyncio.get_running_loop()
        frames = (
            _publish(channel.number, exchange, routing_key),
            marshal(ContentHeader(body_size=len(body), properties=properties), channel.number),
            marshal(ContentBody(body), channel.number),
        )
        confirmed = loop.create_future()
        channel.delivery_tag += 1
        channel.confirmations[channel.delivery_tag] = confirmed
        channel.write_queue.put_nowait(ChannelFrame(b"".join(frames), should_close=False))
        self._unconfirmed.wait(loop, confirmed)
        try:
            await confirmed
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise TimeoutError("the broker said nothing") from None
        finally:
            self._unconfirmed.leave(confirmed)

    def _end(self, closing: "asyncio.Future[object]") -> None:
        """Tell all who wait why the channel has ended."""
        error = None if closing.cancelled() else closing.exception()
        if not isinstance(error, AMQPError | OSError):
            error = ConnectionError("the connection was given up")
        for confirmed in self.channel.confirmations.values():
            if not isinstance(confirmed, Returning) and not confirmed.done():
                confirmed.set_exception(error)


def _give_up(confirmed: "asyncio.Future[Basic.Ack]") -> None:
    """A confirmation that comes later is for nobody, of which aiormq says nothing if it was cancelled."""
    confirmed.cancel()


@lru_cache(maxsize=1024)
def _publish(channel: int, exchange: str, routing_key: str) -> bytes:
    return marshal(Basic.Publish(exchange=exchange, routing_key=routing_key), channel)
