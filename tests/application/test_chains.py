"""Which workflows led to a message of ours, and which start is refused for that."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from application.chains import MOST_IN_A_CHAIN, Chains, refuse_too_long
from application.streams import Streams
from domain.approval import approval_id_of
from domain.errors import TooLongAChain
from tests.application.engine import Engine, engine_of
from tests.application.test_step_kinds import definition
from tests.builders import OTHER_TENANT, TENANT, USER
from tests.domain.plans import step
from tests.harness import UNKNOWN_ID

pytestmark = pytest.mark.anyio

CHAIN = ("first", "second")


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    asks = definition("asks", step("ask", kind="approval"))
    async with engine_of(tmp_path, asks) as engine:
        yield engine


async def test_a_message_tells_its_workflow_and_that_what_led_to_it(engine: Engine) -> None:
    workflow_id = await engine.start("asks", chain=CHAIN)
    chains = Chains(engine.store, "orchestrator")
    assert await chains.up_to(TENANT, "orchestrator", {"workflowId": workflow_id}) == (*CHAIN, "asks")
    approval_id = approval_id_of((await engine.workflow(workflow_id)).steps["ask"].step_id, 1)
    assert await chains.up_to(TENANT, "orchestrator", {"approvalId": approval_id}) == (*CHAIN, "asks")


async def test_a_message_is_told_for_who_started_its_workflow(engine: Engine) -> None:
    workflow_id = await engine.start("asks")
    chains, about = Chains(engine.store, "orchestrator"), {"workflowId": workflow_id}
    assert await chains.starter_of(TENANT, "orchestrator", about) == USER
    assert await chains.starter_of(TENANT, "a-neighbour", about) is None
    assert await chains.starter_of(OTHER_TENANT, "orchestrator", about) is None


@pytest.mark.parametrize(
    ("tenant", "service"),
    [(TENANT, "a-neighbour"), (OTHER_TENANT, "orchestrator")],
    ids=["service", "tenant"],
)
async def test_what_others_say_begins_a_chain(engine: Engine, tenant: str, service: str) -> None:
    workflow_id = await engine.start("asks", chain=CHAIN)
    assert (
        await Chains(engine.store, "orchestrator").up_to(tenant, service, {"workflowId": workflow_id}) == ()
    )


@pytest.mark.parametrize("data", [{}, {"workflowId": UNKNOWN_ID}, {"approvalId": UNKNOWN_ID}])
async def test_a_message_of_no_workflow_begins_a_chain(engine: Engine, data: dict[str, object]) -> None:
    assert await Chains(engine.store, "orchestrator").up_to(TENANT, "orchestrator", data) == ()


@pytest.mark.parametrize("name", ["workflowId", "approvalId"])
@pytest.mark.parametrize("id", [5, ["x"], "", "lost", "../other", "#?\\\0", "x" * 100_000])
async def test_what_is_no_id_is_looked_up_nowhere(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, name: str, id: object
) -> None:
    monkeypatch.delattr(Streams, "present")
    assert await Chains(engine.store, "orchestrator").up_to(TENANT, "orchestrator", {name: id}) == ()


def test_a_chain_ends_where_it_has_become_too_long() -> None:
    refuse_too_long(("a",) * MOST_IN_A_CHAIN, "b")
    with pytest.raises(TooLongAChain, match=r"b is not started: .* may: a > .* > a > b$"):
        refuse_too_long(("a",) * (MOST_IN_A_CHAIN + 1), "b")
