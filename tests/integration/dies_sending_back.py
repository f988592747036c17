"""Sends a parked message back and ends as by kill -9 before it takes it out of where it was parked.

``python -m tests.integration.dies_sending_back <url> <dead-letter queue> <queue> <id>``.
"""

import os
import signal
import sys
from functools import partial

import anyio
from aio_pika.message import IncomingMessage

from infrastructure.rabbit.connection import RabbitConnection
from infrastructure.rabbit.parked import RabbitParkedMessages


async def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(url: str, dead_letter_queue: str, queue: str, id: str) -> None:
    """Do so."""
    connection = RabbitConnection(url, purpose="test", app_id="test")

    async def nothing(_: object) -> None: ...

    await connection.connect(nothing)
    IncomingMessage.ack = _die  # type: ignore[method-assign]
    await RabbitParkedMessages(connection, dead_letter_queue=dead_letter_queue, queue=queue).requeue(id)


if __name__ == "__main__":
    anyio.run(partial(main, *sys.argv[1:]))
