"""`kill -9` in the middle of a burst of messages: each is handled, and has one effect."""

import time

import pytest

from tests.chaos.decisions import (
    REQUESTS,
    Answered,
    assert_told_once_in_order,
    decide_a_bit_of_everything,
    get,
    in_thread,
    until_ready,
)
from tests.harness import ServiceProcess, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

APPROVALS = 300
OPPORTUNITIES = 150


async def test_a_burst_that_is_interrupted_by_kills_has_one_effect_a_message(
    service: ServiceProcess, crm: Neighbour
) -> None:
    await in_thread(service.start)
    await until_ready(service)
    service.kill()
    for number in range(APPROVALS):
        data = {"opportunityId": f"a-{number}", "riskScore": 0.9, "amount": number}
        await crm.send("hitl.approval.requested", data)
        if number < OPPORTUNITIES:
            await crm.send("integration.opportunity.updated", {"opportunityId": f"o-{number}"})
    total = await crm.queued(crm.names.queue)
    assert total == APPROVALS + OPPORTUNITIES

    interrupted = 0
    for remaining in (0.75, 0.4, 0.15):
        service.launch()
        deadline = time.monotonic() + 20
        while await crm.queued(crm.names.queue) > remaining * total and time.monotonic() < deadline:
            pass
        service.kill()
        interrupted += 0 < await crm.queued(crm.names.queue) < total
    assert interrupted >= 2, "the kills were not in the middle of the burst"

    await in_thread(service.start)

    async def all_there() -> bool:
        approvals = await get(service, "/hitl/approvals", limit=1)
        workflows = await get(service, "/workflows", limit=1)
        return bool(approvals["total"] >= APPROVALS and workflows["total"] >= OPPORTUNITIES)

    await eventually(all_there)
    await until_ready(service)
    for request in REQUESTS:
        await crm.expect(request, OPPORTUNITIES)
    approvals = (await get(service, "/hitl/approvals", limit=1))["total"]
    workflows = (await get(service, "/workflows", limit=1))["total"]
    assert (approvals, workflows) == (APPROVALS, OPPORTUNITIES)
    started = {
        (message["data"]["opportunityId"], message["data"]["workflowId"])
        for message in crm.messages("workflow.opportunity.analysis.started")
    }
    assert len(started) == len({opportunity for opportunity, _ in started}) == OPPORTUNITIES
    assert await crm.queued(crm.names.queue) == 0
    assert await crm.queued(crm.names.dead_letter_queue) == 0

    answered = Answered()
    await decide_a_bit_of_everything(service, answered, count=1)
    await crm.expect("workflow.job.trigger")
    crm.seen[:] = [message for message in crm.seen if _is_of(message.body, answered)]
    assert_told_once_in_order(crm, answered)


def _is_of(body: bytes, answered: Answered) -> bool:
    things = (*answered.approvals, *answered.workflows, *answered.triggers)
    return any(thing.encode() in body for thing in things)
