"""Messages that start workflows by the triggers of definitions."""

from time import monotonic
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from application.triggers import ShippedTriggers, Triggers, runs_for
from application.workflow_commands import RequestRun
from domain.definition import StepDefinition, Trigger, WorkflowDefinition
from tests.builders import OTHER_TENANT, TENANT, metadata

pytestmark = pytest.mark.anyio

META = metadata(causation_id="m-1", command_id="m-1")

WON = {
    "type": "forecast.completed",
    "data": {"opportunityId": "opp-1", "stage": "won", "amount": 12},
    "metadata": {"correlationId": "c"},
    "tenantId": TENANT,
}


def plan(name: str, *triggers: Trigger) -> WorkflowDefinition:
    step = StepDefinition(step_type="work", result_key="work")
    return WorkflowDefinition(name=name, version=1, steps=(step,), triggers=triggers)


def trigger(**more: Any) -> Trigger:
    return Trigger(**{"message_type": "forecast.completed", **more})


async def runs(*definitions: WorkflowDefinition, message: dict[str, Any] = WON) -> list[RequestRun]:
    triggers: Triggers = ShippedTriggers(definitions)
    return list(await runs_for(triggers, message, META))


async def test_a_message_of_the_type_asks_for_a_run() -> None:
    (run,) = await runs(plan("d", trigger()))
    assert (run.definition, run.opportunity_id, run.input) == ("d", "opp-1", None)
    assert run.meta == META
    assert not run.explicit


async def test_a_message_of_another_type_asks_for_none() -> None:
    assert await runs(plan("d", trigger(message_type="shard.updated"))) == []


@pytest.mark.parametrize(
    ("condition", "holds"), [("data.stage == 'won'", True), ("data.amount > `20`", False)]
)
async def test_the_filter_decides(condition: str, holds: bool) -> None:
    assert bool(await runs(plan("d", trigger(filter=condition)))) is holds


async def test_the_mapping_gives_the_input() -> None:
    mapping = {"amount": "data.amount", "tenant": "tenantId", "missing": "data.none"}
    (run,) = await runs(plan("d", trigger(input=mapping, opportunity_id="data.none")))
    assert run.input == {"amount": 12, "tenant": TENANT, "missing": None}
    assert run.opportunity_id is None


@pytest.mark.parametrize("number", [42, 42.0])
async def test_an_opportunity_s_id_may_be_a_whole_number(number: float) -> None:
    """To JSON 42 and 42.0 are one."""
    (run,) = await runs(plan("d", trigger()), message={**WON, "data": {"opportunityId": number}})
    assert run.opportunity_id == "42"


@pytest.mark.parametrize("odd", [True, 4.5, 10**300, 1e300, float("inf"), "", ["opp-1"], {"id": "opp-1"}])
async def test_what_is_no_id_starts_nothing(odd: Any) -> None:
    assert await runs(plan("d", trigger()), message={**WON, "data": {"opportunityId": odd}}) == []


async def test_each_definition_has_a_run_of_its_own_and_the_same_one_when_the_message_comes_again() -> None:
    definitions = [plan("d", trigger()), plan("e", trigger())]
    first, second = await runs(*definitions), await runs(*definitions)
    assert first == second
    assert len({run.workflow_id for run in first}) == 2


async def test_each_trigger_has_a_run_of_its_own_and_the_first_the_ids_that_it_always_had() -> None:
    both = plan("d", trigger(), trigger(opportunity_id="data.stage"))
    first, second = await runs(both)
    assert [run.opportunity_id for run in (first, second)] == ["opp-1", "won"]
    assert [first] == await runs(plan("d", trigger()))
    assert first.workflow_id != second.workflow_id
    assert first.meta.command_id != second.meta.command_id
    assert await runs(both) == [first, second]


async def test_a_trigger_keeps_its_ids_whether_or_not_those_before_it_fit() -> None:
    second = trigger(opportunity_id="data.stage")
    _, with_the_first = await runs(plan("d", trigger(), second))
    assert await runs(plan("d", trigger(filter="`false`"), second)) == [with_the_first]
    assert await runs(plan("d", trigger(filter="length(`1`)"), second)) == [with_the_first]
    assert await runs(plan("d", trigger(), trigger(message_type="a.b"), second)) == [
        *await runs(plan("d", trigger())),
        with_the_first,
    ]


@pytest.mark.parametrize(
    "bad",
    [{"filter": "length(data.amount)"}, {"opportunity_id": "data"}, {"input": {"n": "abs(tenantId)"}}],
)
async def test_a_trigger_that_does_not_fit_is_logged_and_the_others_are_set_off(bad: dict[str, Any]) -> None:
    with capture_logs() as logs:
        (run,) = await runs(plan("bad", trigger(**bad)), plan("good", trigger()))
    assert run.definition == "good"
    assert [(each["event"], each["definition"]) for each in logs] == [("trigger_does_not_fit", "bad")]


async def test_the_triggers_that_are_shipped_are_every_tenant_s() -> None:
    triggers = ShippedTriggers([plan("d", trigger())])
    for tenant in (TENANT, OTHER_TENANT):
        (found,) = await triggers.for_message(tenant, "forecast.completed")
        assert found.definition == "d"


async def test_expensive_expressions_do_not_hold_up_the_process() -> None:
    """Nor do many together."""
    expensive = "length(data.l[?@ > `5`])"
    triggers = [trigger(filter=expensive, input=dict.fromkeys("abc", expensive)) for _ in range(20)]
    message = {**WON, "data": {"opportunityId": "opp-1", "l": list(range(50_000))}}
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = monotonic()
            await anyio.sleep(0.01)
            longest = max(longest, monotonic() - before)

    began = monotonic()
    with capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            await anyio.sleep(0)
            (run,) = await runs(plan("d", *triggers), plan("late", trigger()), message=message)
            tasks.cancel_scope.cancel()
    assert run.input == {"a": 49_994, "b": 49_994, "c": 49_994}
    assert monotonic() - began < 20
    assert longest < 1
    assert {each["definition"] for each in logs} == {"d", "late"}
    assert "evaluated with it are too expensive" in logs[-1]["reason"]
