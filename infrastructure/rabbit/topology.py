"""Names on the broker, and queues declared the way the platform's running deployments have them."""

from collections.abc import Mapping

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

    @property
    def job_queues(self) -> Mapping[str, str]:
        """Each queue that triggers must reach, by type: they are kept there before any worker has started."""
        return {JOB_TRIGGER: self.job_queue, **self.more_job_queues}

    def wire_type(self, documented_type: str) -> str:
        """The type as it goes over the wire."""
        return self.type_aliases.get(documented_type, documented_type)


class PlainQueue(RabbitQueue):
    """A durable queue without arguments.

    FastStream adds ``x-queue-type`` to every declaration, which a queue that was declared without it
    answers with 406 PRECONDITION_FAILED.
    """

    def __init__(self, name: str, *, routing_key: str = "") -> None:
        super().__init__(name, durable=True, routing_key=routing_key)
        self.arguments = None  # type: ignore[assignment]


def topic_exchange(name: str) -> RabbitExchange:
    """The platform's exchange."""
    return RabbitExchange(name, type=ExchangeType.TOPIC, durable=True)
