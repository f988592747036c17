"""What the broker does not take, now or for good, is the matter of its own stream."""

import msgspec
import pytest

from application.command import Command
from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.job_commands import FailJobRun
from application.outbox import Outbox
from application.pasts import Past
from application.ports import PublicMessage
from application.workflow_commands import FailStep
from domain.errors import MessageNotTaken, MessageRefused
from domain.lease import Lease
from tests.application.test_outbox import (
    ASKED,
    ONE,
    OTHER,
    TOLD,
    Broker,
    Noted,
    firings,
    noted,
    run_of,
)
from tests.builders import LEASE, TENANT, recorded

pytestmark = pytest.mark.anyio


async def test_what_is_not_taken_now_is_put_off_with_what_follows_it_and_holds_no_other_stream_up() -> None:
    class FullQueue(Broker):
        async def publish(self, message: PublicMessage, lease: Lease) -> None:
            if run_of(message) in self.lose:
                self.tried.append(run_of(message))
                raise MessageNotTaken(f"the queue for {run_of(message)} is full")
            await super().publish(message, lease)

    broker, notes = FullQueue(lose=["a2"]), Noted()
    outbox = Outbox(broker, noted(notes))
    one = firings(ONE, "a1", "a2", "a3")
    put_off = await outbox.handle([*one, *firings(OTHER, "b1")], LEASE)
    assert put_off is not None
    assert (list(put_off.events), put_off.why) == ([*one[1:]], "the queue for a2 is full")
    assert (sorted(broker.confirmed), sorted(notes.runs)) == (["a1", "b1"], ["a1", "b1"])
    broker.lose.clear()
    assert await outbox.handle(put_off.events, LEASE) is None
    assert broker.confirmed[-2:] == notes.runs[-2:] == ["a2", "a3"]
    assert broker.tried.count("a1") == 1


async def test_what_the_broker_will_never_take_fails_its_step_or_its_run_and_holds_nothing_up() -> None:
    tried: list[str] = []
    failed: list[FailStep | FailJobRun] = []

    class TooLarge:
        async def publish(self, message: PublicMessage, lease: Lease) -> None:
            tried.append(message.id)
            if message.type != "small":
                raise MessageRefused(f"{message.type} is too large")

    async def fail(command: Command) -> Committed:
        assert isinstance(command, FailStep | FailJobRun)
        failed.append(command)
        return Committed("stream", Past(), (), "position", 0)

    small = msgspec.structs.replace(ASKED, step_id="s-2", parameters={"request": "small"})
    events = [*recorded(f"{TENANT}/workflow/w-1", [ASKED, TOLD, small]), *firings(ONE, "a")]
    dispatch = Dispatcher({FailStep: fail, FailJobRun: fail})
    await Outbox(TooLarge(), dispatch).handle(events, LEASE)
    assert sorted(tried) == sorted(each.event_id for each in events)
    run, step = failed
    assert isinstance(run, FailJobRun)
    assert isinstance(step, FailStep)
    assert (run.reference, run.error) == ("a", "workflow.job.trigger is too large")
    assert (step.step, step.error, step.reason) == ("s-1", "jobs.done is too large", "rejected")
