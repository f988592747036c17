"""SIMULATION: the simulated neighbours on a transport."""

import anyio
import structlog
from faststream import AckPolicy
from faststream.rabbit import RabbitBroker, RabbitMessage

from application.integration import JOB_TRIGGER
from config.sections import Settings
from config.signals import listening
from config.start import CannotStart
from infrastructure.memory.bus import InProcessBus
from infrastructure.rabbit.connection import RabbitConnection
from infrastructure.rabbit.topology import PlainQueue, topic_exchange
from interfaces.neighbours import REQUESTS, SIMULATED, reply_to

THINKING_SECONDS = 0.15

_FORGOTTEN_SECONDS = 600
"""How long their queue outlives the simulated neighbours, so that a broken connection loses no waiting
message."""

log = structlog.get_logger(SIMULATED)


def simulate_in_process(bus: InProcessBus) -> None:
    """Let the simulated neighbours answer on the in-process bus."""

    async def answer(message_type: str, body: bytes) -> None:
        await anyio.sleep(THINKING_SECONDS)
        reply = reply_to(body)
        if reply is not None:
            await bus.send(*reply)

    bus.subscribe(SIMULATED, REQUESTS, answer)


async def serve_neighbours(settings: Settings) -> None:
    """Let the simulated neighbours answer on RabbitMQ until a signal stops them, including the worker of the
    job queue.

    Raises:
        CannotStart: there is no RabbitMQ to answer on.
    """
    url = settings.rabbitmq.url.get_secret_value()
    if not url:
        raise CannotStart("neighbours need RABBITMQ_URL; without it, `make demo` runs them in the process")
    connection = RabbitConnection(url, purpose="simulation", app_id=SIMULATED, prefetch=10)
    simulate_on_rabbit(connection.broker, settings)

    async def start(broker: RabbitBroker) -> None:
        await declare_queue(broker, settings)
        await broker.start()

    with listening() as orders:
        await connection.connect(start)
        log.warning("simulation_on", answers=list(REQUESTS), exchange=settings.rabbitmq.exchange)
        await anext(orders)
    await connection.close()


async def declare_queue(broker: RabbitBroker, settings: Settings) -> None:
    """Declare the simulated neighbours' queue, bound to what the service asks for."""
    exchange = await broker.declare_exchange(topic_exchange(settings.rabbitmq.exchange))
    queue = await broker.declare_queue(_queue(settings))
    for request_type in REQUESTS:
        if request_type != JOB_TRIGGER:
            wire_type = settings.rabbitmq.type_aliases.get(request_type, request_type)
            await queue.bind(exchange, routing_key=wire_type)


def simulate_on_rabbit(broker: RabbitBroker, settings: Settings) -> None:
    """Subscribe the simulated neighbours to their queue and to the job queue."""
    exchange = topic_exchange(settings.rabbitmq.exchange)
    documented = {wire: name for name, wire in settings.rabbitmq.type_aliases.items()}

    async def answer(message: RabbitMessage) -> None:
        await anyio.sleep(THINKING_SECONDS)
        reply = reply_to(message.body, documented)
        if reply is not None:
            wire_type = settings.rabbitmq.type_aliases.get(reply[0], reply[0])
            await broker.publish(reply[1], exchange=exchange, routing_key=wire_type, persist=True)
        await message.ack()

    for queue in (_queue(settings), PlainQueue(settings.rabbitmq.job_queue, routing_key=JOB_TRIGGER)):
        broker.subscriber(queue, exchange, ack_policy=AckPolicy.MANUAL, no_reply=True, decoder=_as_it_is)(
            answer
        )


async def _as_it_is(message: RabbitMessage) -> RabbitMessage:
    """Return the message itself, because the neighbours send no content type that a decoder could use."""
    return message


def _queue(settings: Settings) -> PlainQueue:
    queue = PlainQueue(f"{settings.rabbitmq.exchange}.simulated_neighbours", routing_key=REQUESTS[0])
    queue.arguments = {"x-expires": 1000 * _FORGOTTEN_SECONDS}
    return queue
