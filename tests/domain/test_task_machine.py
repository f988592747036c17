"""Two workers, a clock and a timer at one task, against a plain model of who has it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain import task
from domain.errors import Refusal, TaskEnded, TaskLeaseLost, TaskNotOffered
from domain.event import Event
from domain.task import Task, TaskClaimed, TaskCompleted, TaskFailed, TaskOffered, TaskRevoked, digest_of
from domain.task.rules import MOST_LOST
from tests.builders import NOW

WORKERS = ("ann", "bob")

workers = st.sampled_from(WORKERS)
seconds = st.integers(1, 30)


class TaskMachine(RuleBasedStateMachine):
    """The model: who holds the task by which lease, until when, and how it has ended.

    A worker uses the newest token that it has been given, as a real one does, however old it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        offered = TaskOffered(
            task_id="t", queue="q", workflow_id="w", step_id="s", step_type="s", attempt=1, offered_at=NOW
        )
        self.events: list[Event] = list(task.offer(None, offered))
        self.state: Task = task.evolve(None, offered)
        self.tokens = 0
        self.token_of: dict[str, str] = {}
        self.holder: str | None = None
        self.until: datetime = NOW
        self.lease_seconds = 0
        self.released_by: str | None = None
        self.last_holder: str | None = None
        self.end: tuple[str, object] | None = None
        self.lost = 0

    def ask(self, decide: Callable[[Task], Sequence[Event]]) -> Sequence[Event]:
        """What is decided is applied at once: the append is the judge, and there is one order of appends."""
        happened = decide(self.state)
        for event in happened:
            self.state = task.evolve(self.state, event)
            self.events.append(event)
        return happened

    def asked_by(self, worker: str, decide: Callable[[Task, str], Sequence[Event]]) -> Sequence[Event]:
        return self.ask(lambda state: decide(state, digest_of(self.token_of[worker])))

    def refuses(self, refusal: type[Refusal], decide: Callable[[], object]) -> None:
        before = list(self.events)
        with pytest.raises(refusal):
            decide()
        assert self.events == before

    @precondition(lambda self: self.end is None and self.holder is None and self.lost < MOST_LOST - 1)
    @rule()
    def many_die(self) -> None:
        """All but the last that may."""
        while self.lost < MOST_LOST - 1:
            self.claim("ann", 1)
            self.now += timedelta(seconds=1)
            self.the_timer_fires()

    @rule(by=st.integers(1, 40))
    def time_passes(self, by: int) -> None:
        self.now += timedelta(seconds=by)

    @rule(worker=workers, lease=seconds)
    def claim(self, worker: str, lease: int) -> None:
        token = f"token-{self.tokens}"
        self.tokens += 1

        def decide() -> Sequence[Event]:
            return self.ask(
                lambda state: task.claim(
                    state,
                    worker_id=worker,
                    lease_digest=digest_of(token),
                    lease_seconds=lease,
                    now=self.now,
                )
            )

        if self.end is not None:
            self.refuses(TaskEnded, decide)
        elif (self.holder is not None and self.now < self.until) or (
            self.holder is not None and self.lost + 1 == MOST_LOST
        ):
            self.refuses(TaskNotOffered, decide)
        else:
            self.lost += self.holder is not None
            assert isinstance(decide()[-1], TaskClaimed)
            self.token_of[worker] = token
            self.holder, self.until, self.lease_seconds = worker, self.now + timedelta(seconds=lease), lease
            self.last_holder, self.released_by = worker, None

    @precondition(lambda self: self.token_of)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.token_of)))

        def decide() -> Sequence[Event]:
            return self.asked_by(
                worker,
                lambda state, digest: task.heartbeat(
                    state, lease_digest=digest, lease_seconds=None, now=self.now
                ),
            )

        if not self.refused_to(worker, decide):
            happened = decide()
            until = self.now + timedelta(seconds=self.lease_seconds)
            moved = (until - self.until).total_seconds() >= self.lease_seconds / 4
            assert bool(happened) == moved
            self.until = until if moved else self.until

    @precondition(lambda self: self.token_of)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.token_of)))

        def decide() -> Sequence[Event]:
            return self.asked_by(
                worker, lambda state, digest: task.release(state, lease_digest=digest, now=self.now)
            )

        if self.released_by == worker:
            assert decide() == ()
        elif not self.refused_to(worker, decide):
            assert len(decide()) == 1
            self.holder, self.released_by, self.last_holder = None, worker, None

    @precondition(lambda self: self.token_of)
    @rule(data=st.data(), output=st.integers(1, 2))
    def complete(self, data: st.DataObject, output: int) -> None:
        worker = data.draw(st.sampled_from(sorted(self.token_of)))

        def decide() -> Sequence[Event]:
            return self.asked_by(
                worker,
                lambda state, digest: task.complete(state, lease_digest=digest, output=output, now=self.now),
            )

        if self.end == ("completed", output) and self.last_holder == worker:
            assert decide() == ()
        elif not self.refused_to(worker, decide):
            (event,) = decide()
            assert isinstance(event, TaskCompleted)
            assert event.worker_id == worker
            self.end = ("completed", output)

    @precondition(lambda self: self.token_of)
    @rule(data=st.data(), retryable=st.booleans())
    def fail(self, data: st.DataObject, retryable: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.token_of)))

        def decide() -> Sequence[Event]:
            return self.asked_by(
                worker,
                lambda state, digest: task.fail(
                    state, lease_digest=digest, error="e", retryable=retryable, now=self.now
                ),
            )

        if self.end == ("failed", retryable) and self.last_holder == worker:
            assert decide() == ()
        elif not self.refused_to(worker, decide):
            (event,) = decide()
            assert isinstance(event, TaskFailed)
            self.end = ("failed", retryable)

    @rule()
    def the_timer_fires(self) -> None:
        happened = self.ask(lambda state: task.expire(state, now=self.now))
        due = self.end is None and self.holder is not None and self.now >= self.until
        assert bool(happened) == due
        if due:
            self.holder = self.last_holder = None
            self.lost += 1
            self.end = ("failed", True) if self.lost == MOST_LOST else None

    @rule()
    def revoke(self) -> None:
        happened = self.ask(lambda state: task.revoke(state, reason="r", now=self.now))
        assert bool(happened) == (self.end is None)
        self.end = self.end or ("revoked", None)

    def refused_to(self, worker: str, decide: Callable[[], object]) -> bool:
        """Whether the model says no to that worker; then the task does, and for the same reason."""
        if self.last_holder != worker:
            self.refuses(TaskLeaseLost, decide)
        elif self.end is not None:
            self.refuses(TaskEnded, decide)
        else:
            return False
        return True

    @invariant()
    def nobody_has_what_another_has(self) -> None:
        """Of the tokens that were ever given out, one at most opens anything."""
        opening = []
        for worker, token in self.token_of.items():
            try:
                task.complete(self.state, lease_digest=digest_of(token), output=3, now=self.now)
            except (TaskLeaseLost, TaskEnded):
                continue
            opening.append(worker)
        expected = [] if self.end is not None or self.holder is None else [self.holder]
        assert opening == expected

    @invariant()
    def it_ends_once(self) -> None:
        endings = [each for each in self.events if isinstance(each, TaskCompleted | TaskFailed | TaskRevoked)]
        assert len(endings) == (self.end is not None)


TestTaskMachine = TaskMachine.TestCase
TestTaskMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
