"""Names on the broker, and queues declared in the way of the platform's running deployments."""

from collections.abc import Mapping, Sequence

import msgspec
from faststream.rabbit import ExchangeType, RabbitExchange, RabbitQueue

from application.integration import JOB_TRIGGER


class RabbitNames(msgspec.Struct, frozen=True, kw_only=True):
    """Exchange, queues and the aliases of types (wire contract, section 1)."""

    exchange: str = "coder_events"
    queue: str = "workflow_orchestrator_service"
    job_queue: str = "bi_batch_jobs"
    dead_letter_queue: str = "workflow_orchestrator_service.dead_letter"
    type_aliases: Mapping[str, str] = {}
    more_job_queues: Mapping[str, str] = {}
    """Further queues of triggers, by the types of message that go there."""

    bindings: Sequence[str] = ()
    """The routing keys of the service's own queue."""

    @property
    def queues(self) -> Sequence[tuple[str, Sequence[str]]]:
        """The queues that must exist before anything is published, and the keys that their messages come
        under."""
        triggers = {JOB_TRIGGER: self.job_queue, **self.more_job_queues}
        return [
            (self.queue, self.bindings),
            *((queue, [self.wire_type(message_type)]) for message_type, queue in triggers.items()),
        ]

    def wire_type(self, documented_type: str) -> str:
        """Return the type as it is sent."""
        return self.type_aliases.get(documented_type, documented_type)


class PlainQueue(RabbitQueue):
    """A durable queue without arguments.

    FastStream adds ``x-queue-type`` to every declaration. For a queue that was declared without it, the
    broker answers with 406 PRECONDITION_FAILED.
    """

    def __init__(self, name: str, *, routing_key: str = "") -> None:
        super().__init__(name, durable=True, routing_key=routing_key)
        self.arguments = None  # type: ignore[assignment]


def topic_exchange(name: str) -> RabbitExchange:
    """Return the platform's exchange."""
    return RabbitExchange(name, type=ExchangeType.TOPIC, durable=True)
