"""Which messages a definition waits for in vain, because their types do not reach the service."""

from collections.abc import Collection, Iterator

from domain.definition import StepDefinition, Work, WorkflowDefinition
from domain.faults import Fault, within


def not_received(definition: WorkflowDefinition, received: Collection[str]) -> Iterator[Fault]:
    """Yield where a definition names a type of message that is not among the ``received``: a trigger that
    never starts anything, a reply that never comes, a ``wait`` for nothing."""
    for number, trigger in enumerate(definition.triggers):
        if trigger.message_type not in received:
            yield _told(f"triggers[{number}].messageType", trigger.message_type)
    for number, step in enumerate(definition.steps):
        yield from within(f"steps[{number}]", _of_step(step, received))


def _of_step(step: StepDefinition, received: Collection[str]) -> Iterator[Fault]:
    yield from _of_work(step, received)
    if step.map is not None:
        yield from within("map.each", _of_work(step.map.each, received))
    if step.compensation is not None:
        yield from within("compensation", _of_work(step.compensation, received))


def _of_work(work: Work, received: Collection[str]) -> Iterator[Fault]:
    for number, reply in enumerate(work.replies):
        if reply["type"] not in received:
            field = "event" if work.kind == "wait" else f"replies[{number}].type"
            yield _told(f"parameters.{field}", reply["type"])


def _told(field: str, message_type: str) -> Fault:
    return Fault(field, f"{message_type} does not reach the service, unless it is in rabbitmq.message_types")
