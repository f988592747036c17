"""Each place where a definition waits for a message that does not reach the service."""

from application.received_types import not_received
from domain.definition import MapOver, StepDefinition, Trigger, Work, WorkflowDefinition

REPLIES = {"request": "a.asked", "replies": [{"type": "a.done"}, {"type": "a.failed", "failed": True}]}
SIGNED = Work(kind="wait", parameters={"event": "contract.signed"})


def a_step(step_type: str, **more: object) -> StepDefinition:
    return StepDefinition(step_type=step_type, result_key=step_type, **more)  # type: ignore[arg-type]


def test_every_place_is_named() -> None:
    definition = WorkflowDefinition(
        name="plan",
        version=1,
        triggers=(Trigger(message_type="shard.updated"), Trigger(message_type="deal.won")),
        steps=(
            a_step("ask", parameters=REPLIES, compensation=Work(parameters=REPLIES)),
            a_step("sign", kind="wait", parameters=SIGNED.parameters),
            a_step("all", kind="map", map=MapOver(over="input.deals", each=SIGNED)),
            a_step("sleep", kind="wait", parameters={"seconds": 1}),
        ),
    )
    told = "{} does not reach the service, unless it is in rabbitmq.message_types"
    assert dict(not_received(definition, {"shard.updated", "a.done"})) == {
        "triggers[1].messageType": told.format("deal.won"),
        "steps[0].parameters.replies[1].type": told.format("a.failed"),
        "steps[0].compensation.parameters.replies[1].type": told.format("a.failed"),
        "steps[1].parameters.event": told.format("contract.signed"),
        "steps[2].map.each.parameters.event": told.format("contract.signed"),
    }
