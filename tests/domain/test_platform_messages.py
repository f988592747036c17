"""What a tenant's definition may send, and what only the platform says."""

import pytest

from application.catalogue import faults_of
from application.integration import PUBLISHED_TYPES
from domain.definition import OPPORTUNITY_ANALYSIS, Announcements, Work
from domain.platform_messages import REQUESTS, is_the_platforms, platform_faults
from interfaces.messaging.messages import CONSUMED
from tests.domain.plans import map_step, plan, step

TRIGGER = {"request": "workflow.job.trigger"}


@pytest.mark.parametrize("message_type", sorted({*CONSUMED, *PUBLISHED_TYPES} - REQUESTS))
def test_all_that_the_contract_knows_is_the_platforms_but_for_the_requests(message_type: str) -> None:
    assert is_the_platforms(message_type)


@pytest.mark.parametrize("message_type", [*sorted(REQUESTS), "deal.release.requested", "workflows.done"])
def test_a_tenant_may_ask_the_neighbours_and_send_types_of_its_own(message_type: str) -> None:
    assert not is_the_platforms(message_type)


def test_wherever_a_definition_would_send_one_that_is_told() -> None:
    definition = plan(
        step("a", parameters=TRIGGER, input={"tenantId": "'another'"}),
        step("b", kind="task", parameters={"queue": "q"} | TRIGGER, input={"tenantId": "input.t"}),
        step("c", parameters={"request": "deal.release.requested"}, compensation=Work(parameters=TRIGGER)),
        map_step("d", each=Work(parameters=TRIGGER)),
        announcements=Announcements(started="a.b.c", completed="hitl.approval.completed"),
    )
    assert [fault.field for fault in platform_faults(definition)] == [
        "steps[0].input.tenantId",
        "announcements.completed",
        "steps[0].parameters.request",
        "steps[2].compensation.parameters.request",
        "steps[3].map.each.parameters.request",
    ]
    told = "workflow.job.trigger is a message type reserved for the platform"
    assert platform_faults(definition)[2].message == told


def test_what_is_shipped_may_send_them() -> None:
    assert list(faults_of(OPPORTUNITY_ANALYSIS, shipped=True)) == []
    assert {fault.field for fault in faults_of(OPPORTUNITY_ANALYSIS)} == {
        "announcements.started",
        "announcements.completed",
        "announcements.failed",
    }
