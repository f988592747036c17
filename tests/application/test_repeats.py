"""What comes again is answered by its stream, whatever the settings have come to say since."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from application.approval_commands import RequestApproval
from application.approval_terms import Terms
from application.catalogue import ShippedDefinitions
from application.dispatcher import Dispatcher
from application.event_store import EventStore
from application.workflow_commands import FailStep, RetryWorkflow, StartWorkflow
from application.workflows import WorkflowHandlers
from domain.approval import Approver, Policy, Stage
from domain.errors import BadInput, IdempotencyKeyReused, NotAllowed, Refusal
from tests.application.engine import engine_of
from tests.application.logs import open_logs, sqlite_settings
from tests.application.test_step_kinds import approval_of, definition, statuses
from tests.approvals import approval_handlers
from tests.builders import SettableClock, metadata
from tests.domain.plans import step

pytestmark = pytest.mark.anyio

BIG = Policy(stages=(Stage(name="board", approvers=(Approver(user="ada"),)),))
ONCE = Terms(policies={"big": BIG})
LATER = [
    (Terms(policies={"large": BIG}), BadInput),
    (Terms(policies={"big": BIG}, in_requests="none"), NotAllowed),
]
ASKS = definition(
    "asks", step("sign_off", kind="approval", critical=True, input={"policy": "'big'"}, timeout_seconds=None)
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield logs.store()


def handled(store: EventStore, terms: Terms) -> Dispatcher:
    return Dispatcher(approval_handlers(store, SettableClock(), terms=terms))


def asked(**more: Any) -> RequestApproval:
    fields: dict[str, Any] = {"approval_id": "a-1", "opportunity_id": "opp-1", "risk_score": 1, "amount": 2}
    meta = metadata(command_id="chosen", request_digest="this")
    return RequestApproval(**{"meta": meta, "policy": "big", **fields, **more})


@pytest.mark.parametrize(("terms", "refusal"), LATER)
async def test_a_step_goes_on_waiting_for_the_approval_that_it_has_asked_for(
    tmp_path: Path, terms: Terms, refusal: type[Refusal]
) -> None:
    async with engine_of(tmp_path, ASKS, terms=ONCE) as engine:
        workflow_id = await engine.start("asks")
        engine.configure(ASKS, terms=terms)
        await engine.settle()
        assert await statuses(engine, workflow_id) == {"sign_off": "running"}
        assert (await approval_of(engine, workflow_id)).status == "pending"
        refused = await engine.start("asks")
        assert await statuses(engine, refused) == {"sign_off": "failed"}


@pytest.mark.parametrize(("terms", "refusal"), LATER)
async def test_a_request_for_an_approval_is_answered_as_the_first_time(
    store: EventStore, terms: Terms, refusal: type[Refusal]
) -> None:
    first = await handled(store, ONCE)(asked())
    dispatch = handled(store, terms)
    again = await dispatch(asked())
    assert (again.version, again.new) == (first.version, ())
    with pytest.raises(IdempotencyKeyReused):
        await dispatch(asked(meta=metadata(command_id="chosen", request_digest="another")))
    with pytest.raises(refusal):
        await dispatch(asked(meta=metadata(), approval_id="a-2"))


async def test_a_retry_with_other_input_is_answered_as_the_first_time(store: EventStore) -> None:
    def handled_by(**schema: Any) -> Dispatcher:
        plan = definition("checks", step("check", critical=True), input_schema={"type": "object", **schema})
        return Dispatcher(WorkflowHandlers(store, SettableClock(), ShippedDefinitions([plan])).handlers())

    before, since = handled_by(), handled_by(required=["region"])
    await before(StartWorkflow(meta=metadata(), workflow_id="w-1", definition="checks"))
    await before(FailStep(meta=metadata(), workflow_id="w-1", step="check", error="no data"))
    again = RetryWorkflow(meta=metadata(command_id="chosen"), workflow_id="w-1", input={"amount": 2})
    first = await before(again)
    repeated = await since(again)
    assert (repeated.version, repeated.new) == (first.version, ())
    with pytest.raises(BadInput):
        await since(msgspec.structs.replace(again, meta=metadata()))
