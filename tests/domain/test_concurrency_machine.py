"""A group under any order of requests, ends and timers, against a plain model of what people count on."""

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain.concurrency import (
    ConcurrencyGroup,
    RunReplaced,
    Start,
    StartDebounced,
    StartGranted,
    StartWithdrawn,
    end_run,
    evolve,
    pass_debounce,
    request_start,
)
from domain.errors import TooManyWaiting, WorkflowAlreadyRunning
from domain.event import Event
from tests.builders import NOW

GROUP = "definition/key"


class Group(RuleBasedStateMachine):
    """The model knows the runs under way, and counts the changes: a run is given the latest there was."""

    policy = "queue"
    debounce_seconds = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.state: ConcurrencyGroup | None = None
        self.now: datetime = NOW
        self.number = 0
        self.running: set[str] = set()
        self.begun: list[str] = []
        self.change = 0
        self.latest_seen = 0
        self.explicit: dict[str, str] = {}
        self.timers: set[tuple[datetime, str]] = set()
        self.to_cancel: set[str] = set()
        self.changes: dict[str, int] = {}
        self.given_up: set[int] = set()

    def happened(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        for event in events:
            self.state = evolve(self.state, event)
            match event:
                case StartGranted():
                    workflow_id = event.start.workflow_id
                    assert workflow_id not in self.begun, "a workflow begins once"
                    self.begun.append(workflow_id)
                    seen = (event.start.input or {}).get("change", 0)
                    self.running.add(workflow_id)
                    self.latest_seen = max(self.latest_seen, seen)
                    if workflow_id in self.explicit:
                        self.explicit[workflow_id] = "begun"
                case StartDebounced():
                    self.timers.add((event.due_at, event.start.workflow_id))
                case RunReplaced():
                    assert event.workflow_id in self.running
                    self.to_cancel.add(event.workflow_id)
                case StartWithdrawn() if event.explicit:
                    self.explicit[event.workflow_id] = "withdrawn"
        return events

    def start(self, *, explicit: bool, changes: bool = True) -> Start:
        self.number += 1
        if changes:
            self.change += 1
        return Start(
            workflow_id=f"w-{self.number}",
            definition="definition",
            input={"change": self.change},
            policy=self.policy,  # type: ignore[arg-type]
            explicit=explicit,
            actor="a",
            correlation_id="c",
        )

    def request(self, start: Start, held_back: float) -> tuple[Event, ...]:
        return request_start(
            self.state,
            start,
            group=GROUP,
            now=self.now,
            debounce_seconds=self.debounce_seconds,
            not_before=self.now + timedelta(seconds=held_back),
        )

    @rule(changes=st.booleans(), held_back=st.sampled_from([0.0, 0.0, 5.0]))
    def a_message(self, changes: bool, held_back: float) -> None:
        """A message; without a change it asks for what was asked for before."""
        start = self.start(explicit=False, changes=changes or not self.change)
        self.happened(self.request(start, held_back))
        assert self.request(start, held_back) == (), "delivered again, it changes nothing"

    @rule()
    def a_person(self) -> None:
        start = self.start(explicit=True)
        try:
            events = self.request(start, 0.0)
        except (WorkflowAlreadyRunning, TooManyWaiting):
            self.change -= 1
            return
        self.explicit[start.workflow_id] = "waits"
        self.changes[start.workflow_id] = self.change
        self.happened(events)
        assert self.request(start, 0.0) == ()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_run_ends(self, data: st.DataObject) -> None:
        assert self.state is not None
        workflow_id = data.draw(st.sampled_from(sorted(self.running)))
        self.running.discard(workflow_id)
        self.to_cancel.discard(workflow_id)
        self.happened(end_run(self.state, workflow_id, now=self.now))
        assert end_run(self.state, workflow_id, now=self.now) == ()

    @precondition(lambda self: "waits" in self.explicit.values())
    @rule(data=st.data())
    def a_waiting_one_is_cancelled(self, data: st.DataObject) -> None:
        assert self.state is not None
        waiting = sorted(each for each, fate in self.explicit.items() if fate == "waits")
        workflow_id = data.draw(st.sampled_from(waiting))
        self.given_up.add(self.changes[workflow_id])
        self.happened(end_run(self.state, workflow_id, now=self.now))

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.timers)
    @rule(data=st.data(), twice=st.booleans())
    def a_timer_fires(self, data: st.DataObject, twice: bool) -> None:
        assert self.state is not None
        timer = data.draw(st.sampled_from(sorted(self.timers)))
        due_at, workflow_id = timer
        self.timers.discard(timer)
        self.now = max(self.now, due_at)
        self.happened(pass_debounce(self.state, workflow_id, now=self.now))
        if twice:
            assert pass_debounce(self.state, workflow_id, now=self.now) == ()

    @invariant()
    def never_two_runs_at_once(self) -> None:
        assert len(self.running) <= 1

    @invariant()
    def what_waits_is_little(self) -> None:
        if self.state is not None:
            assert sum(not each.start.explicit for each in self.state.waiting) <= 1

    @invariant()
    def what_waits_for_a_time_has_a_timer(self) -> None:
        if self.state is not None:
            for each in self.state.waiting:
                if each.due_at is not None:
                    assert (each.due_at, each.start.workflow_id) in self.timers

    @invariant()
    def what_waits_for_a_run_waits_for_one(self) -> None:
        if self.state is not None and any(each.due_at is None for each in self.state.waiting):
            assert self.running

    def settle(self) -> None:
        """Let time pass and runs end until nothing is left to happen."""
        for _ in range(10 + len(self.timers) + len(self.explicit) + self.number):
            for due_at, workflow_id in sorted(self.timers):
                self.timers.discard((due_at, workflow_id))
                self.now = max(self.now, due_at)
                assert self.state is not None
                self.happened(pass_debounce(self.state, workflow_id, now=self.now))
            for workflow_id in list(self.running):
                self.running.discard(workflow_id)
                assert self.state is not None
                self.happened(end_run(self.state, workflow_id, now=self.now))
        assert not self.running
        assert not self.timers
        assert self.state is None or self.state.waiting == ()


class Queue(Group):
    """Nothing is lost: a run begins with the last change, and everybody who asked has had one."""

    def teardown(self) -> None:
        self.settle()
        assert self.latest_seen >= max({*range(self.change + 1)} - self.given_up)
        assert "waits" not in self.explicit.values()


class DebouncedQueue(Queue):
    debounce_seconds = 10.0


class Replace(Group):
    """The latest wins: a run begins with the last change, unless whoever made it has cancelled it."""

    policy = "replace"

    @invariant()
    def what_is_replaced_is_being_cancelled(self) -> None:
        if self.state is not None and self.state.is_replaced:
            assert self.state.running in self.to_cancel

    def teardown(self) -> None:
        self.settle()
        if self.change not in self.given_up:
            assert self.latest_seen == self.change
        assert "waits" not in self.explicit.values()


class Skip(Group):
    """What would overlap is no run."""

    policy = "skip"

    @invariant()
    def nothing_waits_for_a_run(self) -> None:
        if self.state is not None:
            assert all(each.due_at is not None for each in self.state.waiting)

    def teardown(self) -> None:
        self.settle()


TestQueue = Queue.TestCase
TestDebouncedQueue = DebouncedQueue.TestCase
TestReplace = Replace.TestCase
TestSkip = Skip.TestCase
for machine in (Queue, DebouncedQueue, Replace, Skip):
    machine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
