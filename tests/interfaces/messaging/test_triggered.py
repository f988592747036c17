"""What the consumer makes of a message that definitions wait for: its own command, and their runs."""

import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import structlog
from structlog.testing import capture_logs

from application.command import Command
from application.triggers import ShippedTriggers
from application.workflow_commands import RequestRun, TakeReply
from domain.definition import StepDefinition, Trigger, WorkflowDefinition
from domain.errors import BadInput, TooMuchAtOnce
from domain.faults import Fault
from interfaces.messaging.consumer import MessageConsumer
from interfaces.messaging.envelope import Delivery
from tests.builders import TENANT

pytestmark = pytest.mark.anyio

FORECAST = {
    "workflowId": "4f1c7a52-0f6b-4f5e-9b7e-2a4d8c6e1b90",
    "forecastId": "f",
    "revenueForecast": 1,
    "confidence": 1,
}


class Door:
    """Takes commands; those of one definition are refused, ``stale`` ones change nothing, and ``much`` is too
    much for the store."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    async def __call__(self, command: Command) -> Any:
        if isinstance(command, RequestRun) and command.definition == "refused":
            raise BadInput("the input is none", [Fault("input.who", "is missing")])
        if isinstance(command, RequestRun) and command.definition == "much":
            raise TooMuchAtOnce("100 events")
        self.commands.append(command)

        class Committed:
            new = () if isinstance(command, RequestRun) and command.definition == "stale" else ("event",)

        return Committed()


class SeenBefore(Door):
    """What the service itself makes of a message has been taken; this is the second time that it comes."""

    async def __call__(self, command: Command) -> Any:
        committed = await super().__call__(command)
        if not isinstance(command, TakeReply):
            committed.new = ()
        return committed


class NoChains:
    """Nothing has led to any message."""

    async def up_to(self, tenant: str, service: str, data: object) -> tuple[str, ...]:
        return ()

    async def starter_of(self, tenant: str, service: str, data: object) -> None:
        return None


def consumer(
    door: Door,
    *names: str,
    message_type: str = "forecast.completed",
    count: Callable[[str, str], None] = lambda message_type, outcome: None,
) -> MessageConsumer:
    step = StepDefinition(step_type="work", result_key="work")
    trigger = Trigger(message_type=message_type)
    definitions = [
        WorkflowDefinition(name=name, version=1, steps=(step,), triggers=(trigger,)) for name in names
    ]
    return MessageConsumer(
        door,  # type: ignore[arg-type]
        triggers=ShippedTriggers(definitions),
        chains=NoChains(),  # type: ignore[arg-type]
        at_once=4,
        opportunity_shard_types=["opportunity"],
        documented_type={"opportunity.changed": "integration.opportunity.updated"},
        count=count,
    )


async def outcome(
    consumer: MessageConsumer, data: dict[str, Any], message_type: str = "forecast.completed", **more: Any
) -> str:
    body = {"id": "m-1", "type": message_type, "tenantId": TENANT, "data": data, **more}

    async def park(delivery: Delivery, reason: str) -> None:
        raise AssertionError(reason)

    return await consumer.consume(Delivery(body=msgspec.json.encode(body)), park)


async def test_a_message_may_answer_a_step_and_start_workflows() -> None:
    door = Door()
    assert await outcome(consumer(door, "d", "e"), FORECAST) == "handled"
    assert [type(each) for each in door.commands] == [TakeReply, RequestRun, RequestRun]


@pytest.mark.parametrize(
    ("message_type", "data"),
    [
        ("integration.opportunity.updated", {"opportunityId": "o-1"}),
        ("hitl.approval.requested", {"opportunityId": "o-1", "riskScore": 1, "amount": 1}),
        ("workflow.job.completed", {"job": "model-training"}),
    ],
)
async def test_a_message_that_the_service_knows_may_be_a_reply_too_however_often_it_comes(
    message_type: str, data: dict[str, Any]
) -> None:
    given = []
    for door in (Door(), SeenBefore()):
        about = {**data, "workflowId": FORECAST["workflowId"]}
        assert await outcome(consumer(door), about, message_type) == "handled"
        given.append([type(each) for each in door.commands])
    assert given[0] == given[1]
    assert given[0][1:] == [TakeReply]


async def test_a_message_that_is_not_for_the_service_itself_may_still_start_a_workflow() -> None:
    door = Door()
    data = {"shardId": "s-1", "shardTypeName": "document"}
    started = consumer(door, "d", message_type="shard.updated")
    assert await outcome(started, data, "shard.updated") == "handled"
    assert [type(each) for each in door.commands] == [RequestRun]


async def test_a_run_that_is_refused_does_not_keep_the_others_back() -> None:
    door = Door()
    assert await outcome(consumer(door, "refused", "d"), {}, "forecast.completed") == "handled"
    assert [each.definition for each in door.commands if isinstance(each, RequestRun)] == ["d"]


@pytest.mark.parametrize(("name", "expected"), [("refused", "ignored"), ("stale", "without_effect")])
async def test_what_has_no_effect_is_counted_as_that(name: str, expected: str) -> None:
    assert await outcome(consumer(Door(), name), {}) == expected


async def test_what_is_too_much_for_the_store_is_parked_and_not_forgotten() -> None:
    parked = []

    async def park(delivery: Delivery, reason: str) -> None:
        parked.append(reason)

    body = {"id": "m-1", "type": "forecast.completed", "tenantId": TENANT, "data": {}}
    delivery = Delivery(body=msgspec.json.encode(body))
    assert await consumer(Door(), "much").consume(delivery, park) == "parked"
    assert parked == ["TooMuchAtOnce: 100 events"]


@pytest.mark.parametrize("body", [b"{broken", b'{"id": {}, "type": 7}', b"[]"])
@pytest.mark.parametrize(
    ("routing_key", "counted"),
    [
        ("hitl.approval.requested", "hitl.approval.requested"),
        ("opportunity.changed", "integration.opportunity.updated"),
        ("somebody.elses", "other"),
        ("", "other"),
    ],
)
async def test_what_cannot_be_read_is_counted_by_its_routing_key(
    body: bytes, routing_key: str, counted: str
) -> None:
    """The runbook and the alert name what was parked by its type."""
    told: list[tuple[str, str]] = []

    async def park(delivery: Delivery, reason: str) -> None:
        assert told == []

    counting = consumer(Door(), count=lambda message_type, outcome: told.append((message_type, outcome)))
    await counting.consume(Delivery(body=body, routing_key=routing_key), park)
    assert told == [(counted, "parked")]


@pytest.mark.parametrize("tenant", ["", "no-uuid"])
async def test_without_a_tenant_nobody_s_triggers_are_set_off(tenant: str) -> None:
    door = Door()
    assert await outcome(consumer(door, "d"), {}, tenantId=tenant) == "ignored"
    assert door.commands == []


async def test_a_message_that_is_refused_is_told_in_the_log_with_every_fault() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as logs:
        await outcome(consumer(Door(), "refused"), FORECAST)
    refused = [each for each in logs if each["event"] == "message_refused"]
    assert [(each["log_level"], each["reason"]) for each in refused] == [
        ("warning", "the input is none: input.who: is missing")
    ]
