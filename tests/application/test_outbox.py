"""What goes out: everything, in order within a stream, and nothing twice that was confirmed."""

import asyncio
from collections.abc import Sequence

import anyio
import msgspec
import pytest

from application.command import Command
from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.job_commands import FailJobRun, NoteJobPublished
from application.outbox import Outbox
from application.pasts import Past
from application.ports import PublicMessage
from application.workflow_commands import FailStep
from domain.errors import (
    BrokerUnavailable,
    CutShort,
    MessageUnroutable,
    StoreUnavailable,
    WorkflowNotFound,
)
from domain.event import Recorded
from domain.job import JobFired, JobRunCompleted
from domain.lease import Lease, Unrivalled
from domain.values import StepRef
from domain.workflow import StepDispatched, WorkflowCompleted
from tests.builders import LEASE, NOW, TENANT, recorded

pytestmark = pytest.mark.anyio

ONE, OTHER = f"{TENANT}/job/one", f"{TENANT}/job/other"

ASKED = StepDispatched(
    workflow_id="w-1",
    execution_id="e-1",
    step_id="s-1",
    step_type="tell",
    kind="event",
    parameters={"request": "jobs.done"},
    input={},
    attempt=2,
    dispatched_at=NOW,
    deadline_at=None,
)
TOLD = WorkflowCompleted(
    workflow_id="w-1",
    execution_id="e-1",
    results={},
    completed_at=NOW,
    announced_as="jobs.done",
    parent=StepRef(workflow_id="w-0", step_id="s-0", attempt=1),
)


def firings(stream: str, *runs: str) -> tuple[Recorded, ...]:
    return recorded(
        stream,
        [
            JobFired(job="j", run_id=run, triggered_by="manual", fired_at=NOW, metadata={"run": run})
            for run in runs
        ],
    )


def run_of(message: PublicMessage) -> str:
    run: str = message.data["metadata"]["run"]
    return run


class Broker:
    """Confirms messages, except those it is told to lose, and can be slow about some."""

    def __init__(self, *, lose: Sequence[str] = (), slow: Sequence[str] = ()) -> None:
        self.confirmed: list[str] = []
        self.tried: list[str] = []
        self.lose = set(lose)
        self.slow = set(slow)
        self.at_once = 0
        self.most_at_once = 0

    async def publish(self, message: PublicMessage, lease: Lease) -> None:
        run = run_of(message)
        self.tried.append(run)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(20 if run in self.slow else 1):
            await anyio.sleep(0)
        self.at_once -= 1
        if run in self.lose:
            raise BrokerUnavailable(f"{run} was not confirmed")
        self.confirmed.append(run)


class Noted:
    """Takes the notes of what was published."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    async def __call__(self, command: Command) -> Committed:
        assert isinstance(command, NoteJobPublished)
        self.runs.append(command.run_id)
        return Committed("stream", Past(), (), "position", 0)


def noted(notes: Noted | None = None) -> Dispatcher:
    return Dispatcher({NoteJobPublished: notes or Noted()})


async def test_every_event_that_is_told_goes_out_and_the_others_do_not() -> None:
    broker = Broker()
    completed = recorded(ONE, [JobRunCompleted(job="j", run_id="a", completed_at=NOW)], first_version=2)
    await Outbox(broker, noted()).handle([*firings(ONE, "a"), *completed], LEASE)
    assert broker.confirmed == ["a"]


async def test_messages_of_a_stream_go_out_one_after_the_other() -> None:
    broker = Broker(slow=["a", "b"])
    await Outbox(broker, noted()).handle(firings(ONE, "a", "b", "c"), LEASE)
    assert broker.confirmed == ["a", "b", "c"]
    assert broker.most_at_once == 1


async def test_streams_go_out_side_by_side() -> None:
    broker = Broker(slow=["a1"])
    one, other = firings(ONE, "a1", "a2"), firings(OTHER, "b1", "b2")
    await Outbox(broker, noted()).handle([one[0], other[0], one[1], other[1]], LEASE)
    assert broker.confirmed == ["b1", "b2", "a1", "a2"]
    assert broker.most_at_once == 2


async def test_what_is_not_confirmed_fails_the_batch() -> None:
    broker = Broker(lose=["b"])
    with pytest.raises(BrokerUnavailable, match="b was not confirmed"):
        await Outbox(broker, noted()).handle(firings(ONE, "a", "b"), LEASE)


async def test_nothing_of_a_stream_overtakes_what_is_not_confirmed() -> None:
    broker = Broker(lose=["b"])
    batch = firings(ONE, "a", "b", "c")
    outbox = Outbox(broker, noted())
    with pytest.raises(BrokerUnavailable):
        await outbox.handle(batch, LEASE)
    assert broker.tried == ["a", "b"]
    broker.lose.clear()
    await outbox.handle(batch, LEASE)
    assert broker.confirmed == ["a", "b", "c"]


async def test_a_failing_stream_does_not_hold_up_another() -> None:
    broker = Broker(lose=["a1"], slow=["b1"])
    with pytest.raises(BrokerUnavailable):
        await Outbox(broker, noted()).handle([*firings(ONE, "a1", "a2"), *firings(OTHER, "b1", "b2")], LEASE)
    assert broker.confirmed == ["b1", "b2"]


async def test_what_was_confirmed_before_the_failure_is_not_sent_again() -> None:
    broker = Broker(lose=["a2"])
    batch = [*firings(ONE, "a1", "a2"), *firings(OTHER, "b1")]
    outbox = Outbox(broker, noted())
    for _ in range(3):
        with pytest.raises(BrokerUnavailable):
            await outbox.handle(batch, LEASE)
    broker.lose.clear()
    await outbox.handle([*batch, *recorded(OTHER, [firings(OTHER, "b2")[0].event], first_version=2)], LEASE)
    assert sorted(broker.confirmed) == ["a1", "a2", "b1", "b2"]


async def test_what_was_confirmed_of_a_batch_is_kept_while_other_partitions_are_handled() -> None:
    broker = Broker(lose=["a2"])
    failing, other = firings(ONE, "a1", "a2"), firings(OTHER, "b1")
    outbox = Outbox(broker, noted())
    with pytest.raises(BrokerUnavailable):
        await outbox.handle(failing, LEASE)
    await outbox.handle(other, LEASE)
    broker.lose.clear()
    await outbox.handle(failing, LEASE)
    assert broker.confirmed == ["a1", "b1", "a2"]


async def test_what_was_confirmed_is_kept_through_one_change_of_the_lease_and_not_for_ever() -> None:
    broker = Broker(lose=["a2"])
    batch, leases = firings(ONE, "a1", "a2"), [Unrivalled("outbox") for _ in range(3)]
    outbox = Outbox(broker, noted())
    for lease in leases[:2]:
        with pytest.raises(BrokerUnavailable):
            await outbox.handle(batch, lease)
    assert broker.confirmed == ["a1"]
    with pytest.raises(BrokerUnavailable):
        await outbox.handle(batch, leases[2])
    assert broker.confirmed == ["a1", "a1"]


async def test_what_came_in_place_of_a_lost_event_is_sent_though_the_lost_one_had_its_id() -> None:
    broker, other = Broker(lose=["b"]), firings(OTHER, "b")
    outbox = Outbox(broker, noted())
    with pytest.raises(BrokerUnavailable):
        await outbox.handle([*firings(ONE, "lost"), *other], LEASE)
    broker.lose.clear()
    await outbox.handle([*firings(ONE, "new"), *other], LEASE)
    assert broker.confirmed == ["lost", "new", "b"]


async def test_that_nobody_took_a_lost_trigger_is_not_said_of_what_came_in_its_place() -> None:
    class NoQueueForTheLost(Broker):
        async def publish(self, message: PublicMessage, lease: Lease) -> None:
            await super().publish(message, lease)
            if run_of(message) == "lost":
                raise MessageUnroutable("no queue takes it")

    notes, broker, other = Noted(), NoQueueForTheLost(lose=["b"]), firings(OTHER, "b")
    outbox = Outbox(broker, noted(notes))
    with pytest.raises(BrokerUnavailable):
        await outbox.handle([*firings(ONE, "lost"), *other], LEASE)
    broker.lose.clear()
    await outbox.handle([*firings(ONE, "new"), *other], LEASE)
    assert notes.runs == ["new", "b"]


async def test_a_batch_that_comes_again_after_it_was_done_is_sent_again_under_the_same_ids() -> None:
    sent: list[str] = []

    class Remember:
        async def publish(self, message: PublicMessage, lease: Lease) -> None:
            sent.append(message.id)

    outbox = Outbox(Remember(), noted())
    batch = firings(ONE, "a", "b")
    await outbox.handle(batch, LEASE)
    await outbox.handle(batch, LEASE)
    assert sent[:2] == sent[2:] == [each.event_id for each in batch]


async def test_the_failure_that_is_raised_is_a_plain_one_and_not_a_group() -> None:
    with pytest.raises(BrokerUnavailable):
        await Outbox(Broker(lose=["a", "b"]), noted()).handle(
            [*firings(ONE, "a"), *firings(OTHER, "b")], LEASE
        )


async def test_a_publication_that_just_ends_is_not_taken_for_a_confirmed_one() -> None:
    class GivenUp:
        def __init__(self) -> None:
            self.given_up = False
            self.confirmed: list[str] = []

        async def publish(self, message: PublicMessage, lease: Lease) -> None:
            if run_of(message) == "a2" and not self.given_up:
                self.given_up = True
                raise asyncio.CancelledError
            self.confirmed.append(run_of(message))

    broker = GivenUp()
    outbox, batch = Outbox(broker, noted()), firings(ONE, "a1", "a2", "a3")
    with pytest.raises(CutShort):
        await outbox.handle(batch, LEASE)
    assert broker.confirmed == ["a1"]
    await outbox.handle(batch, LEASE)
    assert broker.confirmed == ["a1", "a2", "a3"]


async def test_that_a_jobs_trigger_is_confirmed_is_noted_in_its_run() -> None:
    notes = Noted()
    await Outbox(Broker(), noted(notes)).handle(firings(ONE, "a", "b"), LEASE)
    assert notes.runs == ["a", "b"]


async def test_nothing_is_noted_that_is_not_confirmed() -> None:
    notes, broker = Noted(), Broker(lose=["b"])
    outbox = Outbox(broker, noted(notes))
    with pytest.raises(BrokerUnavailable):
        await outbox.handle(firings(ONE, "a", "b"), LEASE)
    assert notes.runs == []
    broker.lose.clear()
    await outbox.handle(firings(ONE, "a", "b"), LEASE)
    assert notes.runs == ["a", "b"]


async def test_a_store_that_is_away_when_it_is_noted_fails_the_batch_and_sends_nothing_twice() -> None:
    class Away(Noted):
        def __init__(self) -> None:
            super().__init__()
            self.away = True

        async def __call__(self, command: Command) -> Committed:
            if self.away:
                raise StoreUnavailable("away")
            return await super().__call__(command)

    notes, broker = Away(), Broker()
    outbox = Outbox(broker, noted(notes))
    with pytest.raises(StoreUnavailable):
        await outbox.handle(firings(ONE, "a"), LEASE)
    notes.away = False
    await outbox.handle(firings(ONE, "a"), LEASE)
    assert (broker.confirmed, notes.runs) == (["a"], ["a"])


async def test_a_trigger_that_no_queue_takes_fails_its_run_and_holds_nothing_up() -> None:
    class NoQueue(Broker):
        async def publish(self, message: PublicMessage, lease: Lease) -> None:
            await super().publish(message, lease)
            assert message.mandatory
            if run_of(message) == "b":
                raise MessageUnroutable("no queue takes it")

    failed: list[FailJobRun] = []

    async def fail(command: Command) -> Committed:
        assert isinstance(command, FailJobRun)
        failed.append(command)
        return Committed("stream", Past(), (), "position", 0)

    broker, notes = NoQueue(), Noted()
    events = firings(ONE, "a", "b", "c")
    await Outbox(broker, Dispatcher({NoteJobPublished: notes, FailJobRun: fail})).handle(events, LEASE)
    assert (broker.confirmed, notes.runs) == (["a", "b", "c"], ["a", "c"])
    assert [(each.reference, each.error) for each in failed] == [("b", "no queue takes it")]
    assert failed[0].meta.causation_id == events[1].event_id


async def test_what_means_something_else_on_the_wire_is_sent_by_jobs_alone_and_fails_its_step() -> None:
    sent: list[str] = []
    failed: list[FailStep] = []

    class Remember:
        async def publish(self, message: PublicMessage, lease: Lease) -> None:
            sent.append(f"{message.type} {message.id}")

    async def fail(command: Command) -> Committed:
        assert isinstance(command, FailStep)
        failed.append(command)
        raise WorkflowNotFound("it is of no account")

    others = [
        msgspec.structs.replace(ASKED, parameters={"request": "deal.check.wanted"}),
        msgspec.structs.replace(TOLD, announced_as="deal.was.checked"),
    ]
    fired = JobFired(
        job="j", run_id="a", triggered_by="manual", fired_at=NOW, metadata={}, message_type="jobs.done"
    )
    events = [*recorded(f"{TENANT}/workflow/w-1", [ASKED, TOLD, *others]), *recorded(ONE, [fired])]
    dispatch = Dispatcher({NoteJobPublished: Noted(), FailStep: fail})
    await Outbox(Remember(), dispatch, wire_types={"jobs.done"}).handle(events, LEASE)
    assert sorted(each.partition(" ")[0] for each in sent) == [
        "deal.check.wanted",
        "deal.was.checked",
        "jobs.done",
    ]
    assert f"jobs.done {events[-1].event_id}" in sent
    assert [(each.step, each.attempt, each.reason) for each in failed] == [("s-1", 2, "rejected")]
    assert failed[0].error == "jobs.done is a message type reserved for the platform"
